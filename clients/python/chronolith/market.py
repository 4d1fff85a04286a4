"""The market's role of a node: offers, requests and rights of its account."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Sequence

_PATH = "/api/v1/market"


class Market:
    """What a node deals in, by ``client.market``.

    Prices are coin as texts, ``"12"`` or ``"0.5"``; times are texts of RFC 3339. What sets coin aside or gives
    keys away needs a token with the scope ``admin``.
    """

    def __init__(self, client):
        self._client = client

    def status(self) -> Dict[str, Any]:
        """How the role is doing, with the requests that wait for the owner's word."""
        return self._ask("GET", "")

    def offers(self) -> List[Dict[str, Any]]:
        """The offers of the chain that take requests."""
        return self._ask("GET", "/offers")

    def offer(
        self,
        device: str,
        metrics: Sequence[str] = (),
        per_hour: str = "0",
        fixed: str = "0",
        start: Optional[str] = None,
        end: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Offers metrics of a device; none means all that are not hidden, also those to come."""
        asked: Dict[str, Any] = {"device": device, "metrics": list(metrics), "per_hour": per_hour, "fixed": fixed}
        if start is not None:
            asked["from"] = start
        if end is not None:
            asked["until"] = end
        return self._ask("POST", "/offers", asked)

    def close(self, offer: str) -> Dict[str, Any]:
        """Takes an offer back; what was bought of it stays."""
        return self._ask("DELETE", f"/offers/{offer}")

    def buy(self, offer: str, start: str, end: str, deadline_blocks: Optional[int] = None) -> Dict[str, Any]:
        """Asks for a right, with its price set aside. What is granted comes into the node's database."""
        asked: Dict[str, Any] = {"offer": offer, "from": start, "until": end}
        if deadline_blocks is not None:
            asked["deadline_blocks"] = deadline_blocks
        return self._ask("POST", "/requests", asked)

    def cancel(self, request: str) -> Dict[str, Any]:
        """Takes a request back."""
        return self._ask("DELETE", f"/requests/{request}")

    def grant(self, request: str) -> Dict[str, Any]:
        """The owner's yes: the keys go on the ledger, sealed to the buyer."""
        return self._ask("POST", f"/requests/{request}/grant")

    def decline(self, request: str) -> Dict[str, Any]:
        """The owner's no: the payment goes back."""
        return self._ask("POST", f"/requests/{request}/decline")

    def rights(self, side: Optional[str] = None) -> List[Dict[str, Any]]:
        """What the node's account sold and bought; ``side`` is ``"sold"`` or ``"bought"``."""
        return self._ask("GET", "/rights", parameters={"side": side} if side else {})

    def subscribe(
        self, offer: str, start: str, hours: int, periods: int, patience_blocks: Optional[int] = None
    ) -> Dict[str, Any]:
        """Pays for periods that are still to come; the keys of each come into the node's database."""
        asked: Dict[str, Any] = {"offer": offer, "from": start, "hours": hours, "periods": periods}
        if patience_blocks is not None:
            asked["patience_blocks"] = patience_blocks
        return self._ask("POST", "/subscriptions", asked)

    def subscriptions(self) -> List[Dict[str, Any]]:
        """The subscriptions that the node's account has a part in."""
        return self._ask("GET", "/subscriptions")

    def top_up(self, subscription: str, periods: int) -> Dict[str, Any]:
        """Pays for more periods."""
        return self._ask("POST", f"/subscriptions/{subscription}/top_up", {"periods": periods})

    def end(self, subscription: str) -> Dict[str, Any]:
        """Ends a subscription; what is not drawn comes back."""
        return self._ask("DELETE", f"/subscriptions/{subscription}")

    def _ask(self, method: str, path: str, asked: Optional[Dict[str, Any]] = None, parameters: Optional[Dict[str, str]] = None):
        body = json.dumps(asked).encode("utf-8") if asked is not None else None
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return json.loads(self._client._read(_PATH + path, parameters or {}, body, headers, method))
