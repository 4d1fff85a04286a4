"""Two nodes that deal already agree to more, by the client: an answer in the place of data, a bounty, deals.

Prints what the buyer was answered and where the deal ended.
"""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time

from chronolith import ChronolithError, Client
from story import hand_in, refused, until

seller_port, buyer_port, program, sold_offer, file, contract_file, secret_file = sys.argv[1:]
seller = Client(f"http://127.0.0.1:{seller_port}")
buyer = Client(f"http://127.0.0.1:{buyer_port}")
RANGE = ("2026-01-01T10:00:00Z", "2026-01-01T16:00:00Z")
NOBODY = "00" * 32


def content(data):
    """The content id of bytes: CIDv1, raw, SHA-256."""
    digest = bytes([1, 0x55, 0x12, 0x20]) + hashlib.sha256(data).digest()
    return "b" + base64.b32encode(digest).decode().lower().rstrip("=")


def account_of(client):
    return client.market.status()["account"]


def height():
    return json.loads(buyer._read("/api/v1/chain", {}))["height"]


def lie(request, batches):
    """Answers a request, in the seller's name, with bytes that are not what he signs."""
    answer = {"request": request, "answer": content(b"the truth"), "wrapped": "ab" * 200, "batches": batches}
    hand_in(seller, program, "producer-0", {"AnswerRequest": answer})


# A question of the configuration is answered by the seller's node, without anyone looking.
(known,) = seller.market.status()["questions"]
offered = seller.market.offer("car", ["speed"], fixed="2", question=known)
assert offered["question"] == known, offered
seen = until(
    "the offer is seen", lambda: [one for one in buyer.market.offers() if one["offer"] == offered["offer"]]
)
assert seen[0]["question"] == known, seen
asked = buyer.market.buy(offered["offer"], *RANGE)["request"]
read = until("the question is answered", lambda: buyer.market.read(asked))
assert read["holds"] and read["batches"] and read["answer"]["question"] == known, read
refused(422, lambda: buyer.market.dispute_answer(asked), "nothing to dispute")
refused(404, lambda: buyer.market.read(NOBODY), "ask where it was made")
# The nodes of a testnet share a wallet, and with it the secrets of requests.
refused(403, lambda: seller.market.read(asked), "another account's")
# Until its node has seen it in the block it is being answered, which is 409.
until("the answer is counted", lambda: seller.market.status()["answered"] == 1)
refused(422, lambda: seller.market.answer(asked), "granted")

# Another question waits for the owner's word, and says why. His node has to be told it.
with open(file, encoding="utf-8") as opened:
    other = opened.read().replace("count = 2", "count = 3")
offered = seller.market.offer("car", ["speed"], fixed="2", question=other, revocable=True, revocation_fee_bp=100)
assert offered["question"] == content(other.encode()), offered
until("the offer is seen", lambda: [one for one in buyer.market.offers() if one["offer"] == offered["offer"]])
second = buyer.market.buy(offered["offer"], *RANGE)["request"]
waiting = until(
    "the request waits", lambda: [one for one in seller.market.status()["waiting"] if one["request"] == second]
)
assert "is none that is answered without asking" in waiting[0]["why"], waiting
assert refused(404, lambda: buyer.market.read(second)).code == "not_answered"
refused(422, lambda: seller.market.answer(second), offered["question"], "give it along")
refused(422, lambda: seller.market.answer(second, known), "the offer is of the question")
refused(400, lambda: seller.market.answer(second, "sql = 1"), "question")
refused(422, lambda: seller.market.offer("car", ["speed"], contract=content(b"none")), "none of the node")
refused(422, lambda: seller.market.grant(second), "sells answers")
refused(403, lambda: buyer.market.answer(second, other), "another account's")
refused(404, lambda: seller.market.answer(NOBODY, other), "no request")
made = seller.market.answer(second, other)
assert until("it is answered", lambda: buyer.market.read(second))["id"] == made["answer"]

# Lists come part by part.
offers = [one["offer"] for one in buyer.market.offers()]
first = [one["offer"] for one in buyer.market.offers(limit=1)]
rest = [one["offer"] for one in buyer.market.offers(after=first[0])]
assert len(offers) > 2 and first + rest == offers == sorted(offers), (offers, first, rest)
(seen,) = [one for one in buyer.market.offers() if one["offer"] == offered["offer"]]
assert seen["revocable"] and seen["revocation_fee_bp"] == 100, seen
sold = [one["request"] for one in seller.market.rights()]
assert [one["request"] for one in seller.market.rights("sold", limit=1)] == sold[:1], sold
refused(400, lambda: buyer.market.offers(limit=0), "limit")

# What was granted is taken back by whoever sold it.
refused(403, lambda: buyer.market.revoke(second), "another account's")
refused(404, lambda: seller.market.revoke(NOBODY), "no request")
seller.market.revoke(second)
(right,) = [one for one in seller.market.rights("sold") if one["request"] == second]
assert right["status"] == "revoked", right

# An answer that is not what its owner signed is told as such, and disputed: the payment comes back.
third = buyer.market.buy(offered["offer"], *RANGE)["request"]


def lied_to():
    try:
        return buyer.market.read(third)
    except ChronolithError:
        # Another transaction of the node's may have had the nonce.
        lie(third, read["batches"])
        raise


false = until("a lie is told", lied_to)
assert not false["holds"] and false["answer"] is None and content(b"the truth") in false["why"], false
buyer.market.dispute_answer(third)
(right,) = [one for one in buyer.market.rights("bought") if one["request"] == third]
assert right["status"] == "faulty", right

# A bounty is posted, submitted to and awarded; the policy grants what was awarded, and it is received.
wanted = content(b"six hours of speed")
bounty = buyer.market.post_bounty(wanted, "10", submit_blocks=5_000, award_blocks=5_000)["bounty"]
until("the bounty is seen", lambda: [one for one in seller.market.bounties() if one["bounty"] == bounty])
refused(422, lambda: buyer.market.submit(bounty, wanted), "refuses")
refused(404, lambda: buyer.market.award(bounty, {0: 10_000}), "no submission to the bounty 0")
refused(404, lambda: buyer.market.award(NOBODY, {0: 10_000}), "no bounty")
refused(404, lambda: buyer.market.bounty(NOBODY), "no bounty")
seller.market.submit(bounty, wanted, sold_offer, *RANGE)
until("the submission is seen", lambda: buyer.market.bounty(bounty)["submissions"])
shown = buyer.market.bounty(bounty)
assert [one["offer"] for one in shown["submissions"]] == [sold_offer], shown
assert (shown["reward"], shown["leftover"], shown["ownership"]) == ("10", "poster", "submitter"), shown
refused(422, lambda: seller.market.award(bounty, {0: 10_000}), "refuses")
before = buyer.market.status()["received"]
(awarded,) = buyer.market.award(bounty, {0: 10_000})["requests"]
until("what was awarded is received", lambda: buyer.market.status()["received"] > before)
(right,) = [one for one in buyer.market.rights("bought") if one["request"] == awarded]
assert right["price"] == "10" and right["status"] in ("granted", "settled"), right
assert [one["bounty"] for one in buyer.market.bounties()] == []
assert [one["open"] for one in buyer.market.bounties(closed=True)] == [False]

# A deal of two parties and two steps runs through.
plan = {
    "contract": wanted,
    "parties": [
        {"account": account_of(buyer), "coin": "Native", "amount": str(3 * 10**18)},
        {"account": account_of(seller), "coin": "Native", "amount": "0"},
    ],
    "arbiter": None,
    "join_until": height() + 5_000,
    "steps": [
        {"done_by": 2, "objected_by": 0, "blocks": 5_000, "on_done": {"Step": 1},
         "on_timeout": {"Outcome": 1}, "on_objection": {"Outcome": 1}},
        {"done_by": 1, "objected_by": 0, "blocks": 5_000, "on_done": {"Outcome": 0},
         "on_timeout": {"Outcome": 0}, "on_objection": {"Outcome": 1}},
    ],
    "outcomes": [
        {"shares": [{"of": 0, "to": 1, "share": 10_000}]},
        {"shares": [{"of": 0, "to": 0, "share": 10_000}]},
    ],
}
error = refused(400, lambda: buyer.market.open_deal({**plan, "price": "3"}), "unknown field `price`")
assert error.line == 1 and error.column > 1, error
broken = {**plan, "steps": [{**plan["steps"][0], "on_done": {"Step": 7}}, plan["steps"][1]]}
refused(422, lambda: buyer.market.open_deal(broken), "refuses")
deal = buyer.market.open_deal(plan)["deal"]
assert until("the deal is seen", lambda: seller.market.deal(deal)["status"]) == "joining"
refused(404, lambda: seller.market.deal(NOBODY), "no deal")
refused(422, lambda: seller.market.advance(deal, 0), "refuses")
seller.market.join_deal(deal)
refused(422, lambda: buyer.market.advance(deal, 0), "refuses")
refused(422, lambda: seller.market.advance(deal, 1), "refuses")
seller.market.advance(deal, 0, evidence=wanted)
refused(422, lambda: buyer.market.arbitrate(deal, [{"of": 0, "to": 1, "share": 10_000}]), "refuses")
until("the first step is done", lambda: buyer.market.deal(deal)["status"].startswith("at step 1"))
buyer.market.advance(deal, 1)
until("the deal is closed", lambda: seller.market.deal(deal)["status"].startswith("closed"))
shown = seller.market.deal(deal)
assert [one["said"]["verdict"] for one in shown["steps"]] == ["Done", "Done"], shown
assert shown["steps"][0]["said"]["evidence"] == wanted and shown["plan"]["contract"] == wanted, shown
assert [(one["deal"], one["as"]) for one in seller.market.deals()] == [(deal, "party 1")]
assert [(one["deal"], one["as"]) for one in buyer.market.deals()] == [(deal, "party 0")]

# A deal goes by a contract of the seller's configuration; a workshop's program tells its steps to his node.
with open(secret_file, encoding="utf-8") as opened:
    secret = base64.b64decode(opened.read().strip().removeprefix("whsec_"))
arbiter = ["--account", "buyer", "--config", "net/nodes/0/node.toml", "--wallet", "net/wallet", "--json"]


def run(*arguments):
    done = subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def tell(number, kind, step, key=secret, name="workshop", **more):
    """Sends a signed word about the deal."""
    body = json.dumps({"type": f"deal.{kind}", "data": {"deal": agreed, "step": step, **more}}).encode()
    message, second = f"msg_{number}", str(int(time.time()))
    signature = hmac.new(key, f"{message}.{second}.".encode() + body, hashlib.sha256).digest()
    headers = {"Content-Type": "application/json", "webhook-id": message, "webhook-timestamp": second}
    headers["webhook-signature"] = "v1," + base64.b64encode(signature).decode()
    return json.loads(seller._read(f"/api/v1/market/hooks/{name}", {}, body, headers))


parties = {"owner": account_of(seller), "buyer": account_of(buyer), "arbiter": "buyer"}
named = [word for party, account in parties.items() for word in ("--party", f"{party}={account}")]
run(
    "contract", "plan", contract_file, *named, "--arbiter", "arbiter", "--join-until", str(height() + 5_000),
    "--block-time", "1m", "-o", "plan.json", "--wallet", "net/wallet", "--json",
)
with open("plan.json", encoding="utf-8") as opened:
    agreed = buyer.market.open_deal(json.load(opened))["deal"]
until("the deal is seen", lambda: seller.market.deal(agreed)["status"] == "joining")
refused(422, lambda: tell(0, "done", 0), "joining")
seller.market.join_deal(agreed)
run("market", "deal", "join", agreed, *arbiter)
until("all have joined", lambda: seller.market.deal_course(agreed)["at"] == "requested")
refused(401, lambda: tell(1, "done", 0, key=b"x" * 32), "shared secret")
refused(404, lambda: tell(1, "done", 0, name="nobody"), "names no")
refused(400, lambda: tell(1, "paid", 0), "no word of a deal")
assert tell(2, "done", 0)["height"] > 0
assert tell(2, "done", 0) == {"taken": "before"}
assert tell(3, "done", 0) == {"deal": agreed, "step": 0}, "the account has said it"
refused(422, lambda: tell(4, "done", 3), "and not at step 3")
tell(5, "done", 1, evidence=wanted)
until("it is the buyer's turn", lambda: buyer.market.deal(agreed)["status"].startswith("at step 2"))
buyer.market.advance(agreed, 2, objects=True)
until("it is disputed", lambda: seller.market.deal(agreed)["status"].startswith("at step 3"))
tell(6, "done", 3)
course = seller.market.deal_course(agreed, device="car", start=RANGE[0], end=RANGE[1])
assert course["answers"] == {"records": 6} and course["at"] == "proved", course
assert course["ended"] and course["pays_bp"] == "owner 10000", course
few = seller.market.deal_course(agreed, device="nobody", ruling_bp=5_000)
assert few["at"] == "ruled" and few["pays_bp"] == "owner 4850, arbiter 300, buyer 4850", few
refused(404, lambda: buyer.market.deal_course(agreed), "no contract")
with open("shares.json", "w", encoding="utf-8") as opened:
    json.dump([{"of": 1, "to": 0, "share": 10_000}], opened)
run("market", "deal", "arbitrate", agreed, "--shares", "shares.json", *arbiter)
until("the arbiter decided", lambda: seller.market.deal(agreed)["status"] == "decided by the arbiter")
print(json.dumps({"answered": read["answer"]["rows"], "deal": shown["status"]}))
