"""Two nodes deal in what the ledger is not told of, by the client: bought by what its owner told, granted by his word,
received; and a wrong key of it is seen and disputed.

Prints what the buyer's database has of it.
"""

import json
import sys

from chronolith import Client
from story import hand_in, refused, right, until

seller_port, buyer_port, program = sys.argv[1:]
seller = Client(f"http://127.0.0.1:{seller_port}")
buyer = Client(f"http://127.0.0.1:{buyer_port}")
RANGE = ("2026-01-01T10:00:00Z", "2026-01-01T16:00:00Z")
NOBODY = "00" * 32

offered = seller.market.offer("car", ["grade"], fixed="2", check_blocks=20_000)
offer, told = offered["offer"], offered["disclosure"]
assert offered["hidden"] and offered["level"] == 1 and told["offer"] == offer, offered
(seen,) = until("the offer is seen", lambda: [one for one in buyer.market.offers() if one["offer"] == offer])
assert seen["device"] is None and seen["metrics"] is None and seen["coin"] == "Native", seen
open_offer = seller.market.offer("car", ["speed"], fixed="2")
assert not open_offer["hidden"] and open_offer["disclosure"] is None, open_offer

# Nobody buys what he was not told of, or by what is of something else.
changed = {**told, "scope": {**told["scope"], "salt": "07" * 32}}
refused(422, lambda: buyer.market.buy(offer, *RANGE), "hides what it is of")
refused(404, lambda: buyer.market.buy(offer, *RANGE, disclosure=changed), "no offer of this disclosure")
refused(400, lambda: buyer.market.buy(NOBODY, *RANGE, disclosure=told), "it is of")
until("the other offer is seen", lambda: [one for one in buyer.market.offers() if one["offer"] == open_offer["offer"]])
foreign = {**told, "offer": open_offer["offer"]}
refused(404, lambda: buyer.market.buy(open_offer["offer"], *RANGE, disclosure=foreign), "no offer of this disclosure")

# Level 1 needs the owner's word. What he grants is received.
first = buyer.market.buy(offer, *RANGE, disclosure=told)["request"]
until("the request waits", lambda: [one for one in seller.market.status()["waiting"] if one["request"] == first])
refused(422, lambda: buyer.market.dispute(first), "only a granted one has keys")
seller.market.grant(first)


def received():
    rows = buyer.sql("SELECT value FROM grade WHERE device = 'car' ORDER BY time")
    return rows if len(rows) == 6 else None


rows = until("what is hidden is received", received)

# Whoever disputes what holds shows nothing to the ledger.
refused(422, lambda: buyer.market.dispute(first), "there is nothing to dispute")
refused(403, lambda: seller.market.dispute(first), "another account's")
refused(404, lambda: buyer.market.dispute(NOBODY), "ask where it was made")
refused(404, lambda: buyer.market.dispute_period(NOBODY, 0), "no subscription", "ask where it was made")
assert right(buyer, first)["status"] == "granted"

# The owner posts bytes that are no keys: the buyer's node says so, and he shows it to the ledger.
second = buyer.market.buy(offer, *RANGE, disclosure=told)["request"]


def lied_to():
    status = right(buyer, second)["status"]
    if status == "open":
        hand_in(seller, program, "producer-0", {"Grant": {"request": second, "wrapped": "ab" * 200}})
    return status == "granted"


def not_taken():
    return [one for one in buyer.market.status()["not_taken"] if one.get("request") == second]


until("bytes are given for keys", lied_to)
(seen,) = until("the wrong key is seen", not_taken)
assert seen["disputable"] and seen["chunks"] == 6 and seen["why"], seen
assert buyer.market.dispute(second)["height"] > 0
until("the payment is back", lambda: right(buyer, second)["status"] == "faulty")
until("the node has forgotten it", lambda: not not_taken())
refused(422, lambda: buyer.market.dispute(second), "only a granted one has keys")
print(json.dumps({"bought": [row["value"] for row in rows]}))
