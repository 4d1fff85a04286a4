"""Server-sent events, and the changes of a continuous query in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, Optional, Tuple


@dataclass(frozen=True)
class Change:
    """One change of a continuous query's answer.

    ``kind`` is ``insert``, ``update`` or ``delete``; ``row`` for what was there when it began. ``cursor``
    is what to go on from once the change is dealt with; the rows of a beginning have none.
    """

    kind: str
    row: Dict[str, Any]
    cursor: Optional[int]


def events(lines: Iterable[bytes]) -> Iterator[Tuple[str, Optional[str], str]]:
    """The events of a stream: kind, id and data (WHATWG HTML, 9.2)."""
    kind, identity, data = "message", None, []
    for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        if not line:
            if data:
                yield kind, identity, "\n".join(data)
            kind, identity, data = "message", None, []
            continue
        if line.startswith(":"):
            continue
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "event":
            kind = value
        elif name == "id":
            identity = value
        elif name == "data":
            data.append(value)


def change(kind: str, identity: Optional[str], data: str) -> Optional[Change]:
    """The change that an event tells; ``None`` for one that only tells a cursor."""
    if kind not in ("row", "insert", "update", "delete"):
        return None
    row = json.loads(data)
    row.pop("cursor", None)
    row.pop("change", None)
    return Change(kind, row, int(identity) if identity else None)
