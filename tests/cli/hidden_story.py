"""Two nodes deal in what the ledger is not told of, by the client: bought by what its owner told, granted by his word,
received; a wrong key of it is seen and disputed, also when its owner gives another note then; and a bounty is awarded.

Prints what the buyer's database has of it.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from chronolith import ChronolithError, Client
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
# Its owner is told once more. The nodes of a testnet share a wallet, and with it what is hidden.
assert seller.market.disclosure(offer) == told
refused(403, lambda: buyer.market.disclosure(offer), "another account's")
refused(404, lambda: seller.market.disclosure(open_offer["offer"]), "no disclosure of the offer")
refused(404, lambda: seller.market.disclosure(NOBODY), "no offer")

# Nobody buys what he was not told of, or by what is of something else.
changed = {**told, "scope": {**told["scope"], "salt": "07" * 32}}
assert refused(422, lambda: buyer.market.buy(offer, *RANGE), "hides what it is of").code == "undisclosed"
refused(400, lambda: buyer.market.buy(offer, *RANGE, disclosure=changed), "is not what the offer", "hides")
refused(400, lambda: buyer.market.buy(NOBODY, *RANGE, disclosure=told), "it is of")
until("the other offer is seen", lambda: [one for one in buyer.market.offers() if one["offer"] == open_offer["offer"]])
foreign = {**told, "offer": open_offer["offer"]}
refused(400, lambda: buyer.market.buy(open_offer["offer"], *RANGE, disclosure=foreign), "it hides nothing")

# Level 1 needs the owner's word. What he grants is received.
first = buyer.market.buy(offer, *RANGE, disclosure=told)["request"]
until("the request waits", lambda: [one for one in seller.market.status()["waiting"] if one["request"] == first])
refused(422, lambda: buyer.market.dispute(first), "only one that is granted")
seller.market.grant(first)


def received():
    rows = buyer.sql("SELECT value FROM grade WHERE device = 'car' ORDER BY time")
    return rows if len(rows) == 6 else None


rows = until("what is hidden is received", received)

# Whoever disputes what holds shows nothing to the ledger.
refused(422, lambda: buyer.market.dispute(first), "there is nothing to dispute")
refused(403, lambda: seller.market.dispute(first), "another account's")
refused(404, lambda: buyer.market.dispute(NOBODY), "ask where it was made")
refused(404, lambda: buyer.market.dispute_period(NOBODY, 7), "no period 7 of the subscription", "ask where it was made")
shown = right(buyer, first)
assert shown["status"] == "granted" and shown["settles"] > 20_000, shown

# The owner posts bytes that are no keys: the buyer's node says so, and he shows it to the ledger.
second = buyer.market.buy(offer, *RANGE, disclosure=told)["request"]


def lied_to():
    status = right(buyer, second)["status"]
    if status == "open":
        hand_in(seller, program, "producer-0", {"Grant": {"request": second, "wrapped": "ab" * 200}})
    return status == "granted"


def shown_of(request):
    """What the buyer's node shows of what it has not taken."""
    return [one for one in buyer.market.status()["not_taken"] if one.get("request") == request]


def not_taken(*said):
    """The same where it can be disputed, in words that say so."""
    return [one for one in shown_of(second) if one["disputable"] and all(word in one["why"] for word in said)]


until("bytes are given for keys", lied_to)
(seen,) = until("the wrong key is seen", not_taken)
assert seen["chunks"] == 6 and seen["settles"] == right(buyer, second)["settles"], seen
# Its owner takes the note back: what was seen stays seen.
with open(f"net/nodes/9/notes/{second}.note", "wb") as note:
    note.write(b"nothing")
until("the note is missed", lambda: not_taken("what shows it is kept", "has the note"))


def dispute(client):
    try:
        return client.market.dispute(second)["height"]
    except ChronolithError as error:
        return error


with ThreadPoolExecutor(2) as both:
    became = list(both.map(dispute, (buyer, Client(f"http://127.0.0.1:{buyer_port}"))))
# The other one came while this one was under way, or when it was done.
(other,) = [one for one in became if isinstance(one, ChronolithError)]
assert (other.status, other.code) in ((409, "under_way"), (422, "refused")), other
until("the payment is back", lambda: right(buyer, second)["status"] == "faulty")
until("the node has forgotten it", lambda: not shown_of(second))
refused(422, lambda: buyer.market.dispute(second), "only one that is granted")

# A bounty is awarded for what is hidden only by who was told of it, since nobody else could open it.
wanted = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
bounty = buyer.market.post_bounty(wanted, "1", submit_blocks=5_000, award_blocks=5_000)["bounty"]
until("the bounty is seen", lambda: [one for one in seller.market.bounties() if one["bounty"] == bounty])
seller.market.submit(bounty, wanted, offer, *RANGE)
until("the submission is seen", lambda: buyer.market.bounty(bounty)["submissions"])
whole = {0: 10_000}
assert refused(422, lambda: buyer.market.award(bounty, whole), "hides what it is of").code == "undisclosed"
refused(400, lambda: buyer.market.award(bounty, whole, disclosures=[changed]), "is not what the offer", "hides")
before = buyer.market.status()["received"]
(awarded,) = buyer.market.award(bounty, whole, disclosures=[told])["requests"]
until("the award waits", lambda: [one for one in seller.market.status()["waiting"] if one["request"] == awarded])
seller.market.grant(awarded)
until("what was awarded is received", lambda: buyer.market.status()["received"] > before)
print(json.dumps({"bought": [row["value"] for row in rows]}))
