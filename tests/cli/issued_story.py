"""Two nodes deal in a coin that the buyer issued, by the client. Prints what of it he has left."""

import json
import sys

from chronolith import Client
from story import account, hand_in, refused, right, until

seller_port, buyer_port, program = sys.argv[1:]
seller = Client(f"http://127.0.0.1:{seller_port}")
buyer = Client(f"http://127.0.0.1:{buyer_port}")
RANGE = ("2026-01-01T02:00:00Z", "2026-01-01T04:00:00Z")
NOBODY = "00" * 32


def issued():
    if not account(buyer)["issued_coin"]:
        coin = {"symbol": "MILE", "decimals": 2, "cap": None, "supply": "1000"}
        hand_in(buyer, program, "producer-1", {"IssueCoin": coin})
    return account(buyer)["issued_coin"]


coin = until("the coin is issued", issued)[0]["coin"]
refused(400, lambda: seller.market.offer("car", ["speed"], fixed="1", coin="MILE"), "64 hexadecimal digits")
# It is read in the form in which it is shown, too.
again = seller.market.offer("car", ["speed"], fixed="1", coin={"Issued": coin})
assert again["coin"] == {"Issued": coin}, again
own = seller.market.offer("car", ["speed"], fixed="1", coin="Native")
assert own["coin"] == "Native", own
refused(422, lambda: seller.market.offer("car", ["speed"], fixed="1", coin=NOBODY), "there is no such coin")
offered = seller.market.offer("car", ["speed"], fixed="250motes", coin=coin)
offer = offered["offer"]
assert offered["coin"] == {"Issued": coin}, offered
(seen,) = until("the offer is seen", lambda: [one for one in buyer.market.offers() if one["offer"] == offer])
price = "0." + "0" * 15 + "25"
assert seen["coin"] == {"Issued": coin} and seen["fixed"] == price, seen
bought = buyer.market.buy(offer, *RANGE)
assert bought["coin"] == {"Issued": coin} and bought["price"] == price, bought
found = right(buyer, bought["request"])
assert found["coin"] == {"Issued": coin} and found["price"] == found["escrow"] == price, found
until("it is granted", lambda: right(buyer, bought["request"])["status"] == "granted")
(left,) = [one["amount"] for one in account(buyer)["issued_coin"] if one["coin"] == coin]
# Who has too little of it pays nothing.
dear = seller.market.offer("car", ["speed"], fixed="5000motes", coin=coin)["offer"]
until("the dear offer is seen", lambda: [one for one in buyer.market.offers() if one["offer"] == dear])
refused(422, lambda: buyer.market.buy(dear, *RANGE), "refuses")
# A reward is in it, too.
wanted = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
posted = buyer.market.post_bounty(wanted, "100motes", submit_blocks=50, award_blocks=50, coin=coin)["bounty"]
assert buyer.market.bounty(posted)["coin"] == {"Issued": coin}, posted
print(json.dumps({"left": left}))
