"""The market's role of a node: what its account offers, asks for, sells, buys and agrees to."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

_PATH = "/api/v1/market"
#: An issued coin by its id, or as the node shows it: ``{"Issued": ID}`` or ``"Native"``.
Coin = Union[str, Mapping[str, str], None]


def _part(limit: Optional[int], after: Optional[str], **more: Optional[str]) -> Dict[str, str]:
    """The parameters of a part of a list."""
    asked = {"limit": None if limit is None else str(limit), "after": after, **more}
    return {name: value for name, value in asked.items() if value is not None}


class Market:
    """What a node deals in, by ``client.market``.

    Prices are coin as texts, ``"12"`` or ``"0.5"``, of 10^18 of the smallest unit each, or ``"250motes"``: so many of
    the smallest unit, also of an issued coin. Times are texts of RFC 3339. What sets coin aside or gives keys away
    needs a token with the scope ``admin``.

    Lists have at most ``limit`` entries, 100 where it is not said and never more than 1,000, behind the id
    ``after``: the last one of the part before. A ``ChronolithError`` with the code ``unsettled`` says that something
    may be done all the same: look at the list before doing it again.
    """

    def __init__(self, client):
        self._client = client

    def status(self) -> Dict[str, Any]:
        """How the role is doing.

        Among it the requests that wait for the owner's word (``"waiting"``), and what was bought, has keys and is not
        here (``"not_taken"``), with the reasons; ``"settles"`` of these is the last height for a dispute.
        """
        return self._ask("GET", "")

    def offers(self, limit: Optional[int] = None, after: Optional[str] = None) -> List[Dict[str, Any]]:
        """The offers of the chain that take requests."""
        return self._ask("GET", "/offers", parameters=_part(limit, after))

    def offer(
        self,
        device: str,
        metrics: Sequence[str] = (),
        per_hour: Optional[str] = None,
        fixed: Optional[str] = None,
        start: Optional[str] = None,
        end: Optional[str] = None,
        question: Optional[str] = None,
        royalty_bp: int = 0,
        sources: Sequence[str] = (),
        revocable: bool = False,
        revocation_fee_bp: int = 0,
        contract: Optional[str] = None,
        coin: Coin = None,
        check_blocks: Optional[int] = None,
    ) -> Dict[str, Any]:
        """Offers metrics of a device; none means all that are not hidden, also those to come.

        With ``question`` answers are sold instead of data: the content id of one of the node's configuration, or
        the text of the file of another. ``sources`` are offers that the data was made of; ``royalty_bp`` is what is
        asked of sales of what is made of this data, in basis points of their price. What is ``revocable`` may be
        taken back after it was paid. With ``contract``, the content id of one of the node's configuration, price and
        terms are what it says, and its rules grant. ``coin`` is the issued coin that the price is in, by its id or as
        it is shown, the chain's own where it is not said; ``check_blocks`` is how many blocks a buyer has to check what
        he was given.

        Where ``"hidden"`` is true the ledger has a hash alone: ``"disclosure"`` is what it is of. Give it to those who
        may buy, and to nobody else.
        """
        asked: Dict[str, Any] = {"device": device, "metrics": list(metrics)}
        said = {"per_hour": per_hour, "fixed": fixed, "from": start, "until": end, "question": question}
        said.update(contract=contract, royalty_bp=royalty_bp or None, sources=list(sources) or None)
        said.update(revocable=revocable or None, revocation_fee_bp=revocation_fee_bp or None)
        said.update(coin=coin, check_blocks=check_blocks)
        asked.update((name, value) for name, value in said.items() if value is not None)
        return self._ask("POST", "/offers", asked)

    def disclosure(self, offer: str) -> Dict[str, Any]:
        """What a hidden offer of the node's account is of, as ``offer`` answered it."""
        return self._ask("GET", f"/offers/{offer}/disclosure")

    def close(self, offer: str) -> Dict[str, Any]:
        """Takes an offer back; what was bought of it stays."""
        return self._ask("DELETE", f"/offers/{offer}")

    def buy(
        self,
        offer: str,
        start: str,
        end: str,
        deadline_blocks: Optional[int] = None,
        disclosure: Optional[Mapping[str, Any]] = None,
    ) -> Dict[str, Any]:
        """Asks for a right, with its price set aside. What is granted comes into the node's database.

        Keys of a hidden offer need its ``disclosure``: the JSON that its owner told, as ``offer`` gave it to him and
        as it is in his wallet. A ``ChronolithError`` with the code ``undisclosed`` without it.
        """
        asked: Dict[str, Any] = {"offer": offer, "from": start, "until": end}
        if deadline_blocks is not None:
            asked["deadline_blocks"] = deadline_blocks
        if disclosure is not None:
            asked["disclosure"] = dict(disclosure)
        return self._ask("POST", "/requests", asked)

    def dispute(self, request: str) -> Dict[str, Any]:
        """Shows the ledger a key that is wrong: the payment comes back.

        This publishes the secret of the request: everybody can open what was granted from then on, and of a hidden
        offer everybody reads the device and its key trees. What ``status()["not_taken"]`` has as ``"disputable"`` can
        be disputed up to its ``"settles"``, whatever the owner's note says then. A ``ChronolithError`` with the status
        422 where the keys hold or it is too late, so that nothing is shown for nothing; with the code ``under_way``
        where somebody disputes the same.
        """
        return self._ask("POST", f"/requests/{request}/dispute")

    def cancel(self, request: str) -> Dict[str, Any]:
        """Takes a request back."""
        return self._ask("DELETE", f"/requests/{request}")

    def grant(self, request: str) -> Dict[str, Any]:
        """The owner's yes: the keys go on the ledger, sealed to the buyer."""
        return self._ask("POST", f"/requests/{request}/grant")

    def decline(self, request: str) -> Dict[str, Any]:
        """The owner's no: the payment goes back."""
        return self._ask("POST", f"/requests/{request}/decline")

    def revoke(self, request: str) -> Dict[str, Any]:
        """Takes a granted right back, with the refund that its terms say; keys that were given stay with the buyer."""
        return self._ask("POST", f"/requests/{request}/revoke")

    def answer(self, request: str, question: Optional[str] = None) -> Dict[str, Any]:
        """The owner's yes where answers are sold: his database is asked, and the answer sealed to the buyer.

        ``question`` is needed where the offer's is none of the node's configuration.
        """
        asked = {"question": question} if question is not None else None
        return self._ask("POST", f"/requests/{request}/answer", asked)

    def read(self, request: str) -> Dict[str, Any]:
        """An answer that was bought; ``"holds"`` says whether it is what its owner signed.

        A ``ChronolithError`` with the code ``not_answered`` while there is none.
        """
        return self._ask("GET", f"/requests/{request}/answer")

    def dispute_answer(self, request: str) -> Dict[str, Any]:
        """Shows the ledger an answer that is not what its owner signed: the payment comes back.

        This publishes the secret of the request: everybody can open the answer from then on.
        """
        return self._ask("POST", f"/requests/{request}/answer/dispute")

    def rights(
        self, side: Optional[str] = None, limit: Optional[int] = None, after: Optional[str] = None
    ) -> List[Dict[str, Any]]:
        """What the node's account sold and bought; ``side`` is ``"sold"`` or ``"bought"``."""
        return self._ask("GET", "/rights", parameters=_part(limit, after, side=side))

    def subscribe(
        self, offer: str, start: str, hours: int, periods: int, patience_blocks: Optional[int] = None
    ) -> Dict[str, Any]:
        """Pays for periods that are still to come; the keys of each come into the node's database."""
        asked: Dict[str, Any] = {"offer": offer, "from": start, "hours": hours, "periods": periods}
        if patience_blocks is not None:
            asked["patience_blocks"] = patience_blocks
        return self._ask("POST", "/subscriptions", asked)

    def subscriptions(self, limit: Optional[int] = None, after: Optional[str] = None) -> List[Dict[str, Any]]:
        """The subscriptions that the node's account has a part in."""
        return self._ask("GET", "/subscriptions", parameters=_part(limit, after))

    def top_up(self, subscription: str, periods: int) -> Dict[str, Any]:
        """Pays for more periods."""
        return self._ask("POST", f"/subscriptions/{subscription}/top_up", {"periods": periods})

    def dispute_period(self, subscription: str, period: int) -> Dict[str, Any]:
        """The same as ``dispute`` of a period of a subscription, which ends with it.

        This publishes the secret of the subscription: everybody can open the keys of all its periods from then on.
        """
        return self._ask("POST", f"/subscriptions/{subscription}/periods/{period}/dispute")

    def end(self, subscription: str) -> Dict[str, Any]:
        """Ends a subscription; what is not drawn comes back."""
        return self._ask("DELETE", f"/subscriptions/{subscription}")

    def bounties(
        self, closed: bool = False, limit: Optional[int] = None, after: Optional[str] = None
    ) -> List[Dict[str, Any]]:
        """The bounties of the chain that take awards; with ``closed`` all that there were."""
        return self._ask("GET", "/bounties", parameters=_part(limit, after, closed="true" if closed else None))

    def bounty(self, bounty: str) -> Dict[str, Any]:
        """A bounty, and what was submitted to it."""
        return self._ask("GET", f"/bounties/{bounty}")

    def post_bounty(
        self,
        text: str,
        reward: str,
        submit_blocks: int,
        award_blocks: int,
        leftover: str = "poster",
        ownership: str = "submitter",
        coin: Coin = None,
    ) -> Dict[str, Any]:
        """Asks for data that nobody offers, with a reward set aside; ``text`` is the content id of what is wanted.

        What nobody was awarded goes to the ``"poster"`` or the ``"submitters"``; the data is the ``"submitter"``'s,
        the ``"poster"``'s or of ``"both"`` once it is awarded. ``coin`` is that of the reward, as of ``offer``.
        """
        asked: Dict[str, Any] = {"text": text, "reward": reward, "leftover": leftover, "ownership": ownership}
        asked.update(submit_blocks=submit_blocks, award_blocks=award_blocks)
        if coin is not None:
            asked["coin"] = coin
        return self._ask("POST", "/bounties", asked)

    def submit(
        self,
        bounty: str,
        content: str,
        offer: Optional[str] = None,
        start: Optional[str] = None,
        end: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Submits to a bounty, and agrees to its terms; encrypted data by an offer and a range."""
        asked: Dict[str, Any] = {"content": content}
        for name, value in (("offer", offer), ("from", start), ("until", end)):
            if value is not None:
                asked[name] = value
        return self._ask("POST", f"/bounties/{bounty}/submissions", asked)

    def award(
        self,
        bounty: str,
        shares: Mapping[int, int],
        grant_blocks: Optional[int] = None,
        disclosures: Sequence[Mapping[str, Any]] = (),
    ) -> Dict[str, Any]:
        """Awards shares of the reward, in basis points by the numbers of submissions.

        Awards of encrypted data become requests; what is granted comes into the node's database. What is submitted by
        a hidden offer is awarded only with what its owner told, among ``disclosures``.
        """
        asked: Dict[str, Any] = {"shares": [{"number": number, "share": share} for number, share in shares.items()]}
        if grant_blocks is not None:
            asked["grant_blocks"] = grant_blocks
        if disclosures:
            asked["disclosures"] = [dict(told) for told in disclosures]
        return self._ask("POST", f"/bounties/{bounty}/awards", asked)

    def deals(self, limit: Optional[int] = None, after: Optional[str] = None) -> List[Dict[str, Any]]:
        """The deals of several steps that the node's account has a part in."""
        return self._ask("GET", "/deals", parameters=_part(limit, after))

    def deal(self, deal: str) -> Dict[str, Any]:
        """A deal: its plan, where it is, who said what."""
        return self._ask("GET", f"/deals/{deal}")

    def deal_course(
        self,
        deal: str,
        device: Optional[str] = None,
        start: Optional[str] = None,
        end: Optional[str] = None,
        ruling: Optional[str] = None,
        ruling_bp: Optional[int] = None,
    ) -> Dict[str, Any]:
        """Where a deal is by its contract: what is due, what the node's data answers, who gets what."""
        asked = {"device": device, "from": start, "until": end, "ruling": ruling, "ruling_bp": ruling_bp}
        parameters = {name: str(value) for name, value in asked.items() if value is not None}
        return self._ask("GET", f"/deals/{deal}/course", parameters=parameters)

    def open_deal(self, plan: Dict[str, Any]) -> Dict[str, Any]:
        """Opens a deal by its plan (docs/deals.md), and sets the account's part aside."""
        return self._ask("POST", "/deals", plan)

    def join_deal(self, deal: str) -> Dict[str, Any]:
        """Joins a deal as it is, and sets the account's part aside."""
        return self._ask("POST", f"/deals/{deal}/join")

    def advance(
        self, deal: str, step: int, objects: bool = False, evidence: Optional[str] = None
    ) -> Dict[str, Any]:
        """Says that the step that a deal is at is done, or objects to it."""
        asked: Dict[str, Any] = {"step": step, "objects": objects}
        if evidence is not None:
            asked["evidence"] = evidence
        return self._ask("POST", f"/deals/{deal}/advance", asked)

    def arbitrate(
        self, deal: str, shares: Sequence[Dict[str, int]], reasons: Optional[str] = None
    ) -> Dict[str, Any]:
        """Decides a disputed deal, as its arbiter: ``[{"of": 0, "to": 1, "share": 10000}]``."""
        asked: Dict[str, Any] = {"shares": list(shares)}
        if reasons is not None:
            asked["reasons"] = reasons
        return self._ask("POST", f"/deals/{deal}/arbitrate", asked)

    def _ask(self, method: str, path: str, asked: Optional[Dict[str, Any]] = None, parameters: Optional[Dict[str, str]] = None):
        body = json.dumps(asked).encode("utf-8") if asked is not None else None
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return json.loads(self._client._read(_PATH + path, parameters or {}, body, headers, method))
