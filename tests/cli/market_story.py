"""Two nodes of a network deal, by the client: one sells, one buys. Prints what the buyer's database has."""

import json
import subprocess
import sys

from chronolith import Client, ChronolithError, Record
from story import until

seller_port, buyer_port, program = sys.argv[1:]
seller = Client(f"http://127.0.0.1:{seller_port}")
buyer = Client(f"http://127.0.0.1:{buyer_port}")
#: 2026-01-01, in nanoseconds.
BEGIN_NS = 1_767_225_600 * 10**9
HOUR_NS = 3_600 * 10**9


until("the nodes answer", lambda: seller.market.status() and buyer.market.status())
# The grade is of level 1, by a rule of the seller's database.
seller.write(
    Record(device="car", time=BEGIN_NS + hour * HOUR_NS, values={"speed": float(hour), "grade": float(-hour)})
    for hour in range(48)
)


def kept():
    shown = json.loads(seller._read("/api/v1/producer", {}))
    return shown["placed"] > 0 and shown["unplaced"] == 0 and shown["waiting"] == 0


until("all that was sealed is kept by peers", kept)
offer = seller.market.offer("car", ["speed"], per_hour="0.5")["offer"]
until("the offer is seen", lambda: [one for one in buyer.market.offers() if one["offer"] == offer])
bought = buyer.market.buy(offer, "2026-01-01T10:00:00Z", "2026-01-01T16:00:00Z")
# Two peers that keep something are away.
subprocess.run([program, "testnet", "kill", "net", "1", "2"], check=True, stdout=subprocess.DEVNULL)
until("what was bought is received", lambda: buyer.market.status()["received"] > 0)
rows = buyer.sql("SELECT value FROM speed WHERE device = 'car' ORDER BY time")
sold = [right for right in seller.market.rights("sold") if right["request"] == bought["request"]]
assert sold and sold[0]["status"] == "granted", sold
try:
    seller.market.grant(bought["request"])
    raise SystemExit("a request is granted twice")
except ChronolithError as error:
    assert error.status == 422, error
subscription = buyer.market.subscribe(offer, "2026-01-01T00:00:00Z", hours=12, periods=3)["subscription"]
until("three periods of twelve hours are drawn", lambda: buyer.market.subscriptions()[0]["drawn"] == 3)
count = "SELECT count(*) AS n FROM speed WHERE device = 'car'"
until("what was subscribed to is received", lambda: buyer.sql(count)[0]["n"] == 36)
assert seller.market.subscriptions()[0]["subscription"] == subscription
print(json.dumps({"offer": offer, "price": bought["price"], "bought": [row["value"] for row in rows]}))
