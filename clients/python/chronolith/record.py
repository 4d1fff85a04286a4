"""Records, and the line protocol that carries them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Mapping, Optional, Union

Value = Union[float, int, bool, str]
Time = Union[int, datetime.datetime]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Record:
    """What one device measured at one time: some values, each of the metric of that name.

    ``time`` is nanoseconds since the epoch or a ``datetime`` with a zone; ``class_name`` is what kind of
    device it is.
    """

    device: str
    time: Time
    values: Mapping[str, Value]
    class_name: str = "records"
    tags: Mapping[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """The record in line protocol."""
        if not self.values:
            raise ValueError("a record has at least one value")
        if "device" in self.tags:
            raise ValueError("the device is no tag")
        tags = {"device": self.device, **self.tags}
        key = _escaped(self.class_name, ", ") + "".join(
            "," + _escaped(name, ",= ") + "=" + _escaped(value, ",= ")
            for name, value in sorted(tags.items())
        )
        values = ",".join(
            _escaped(name, ",= ") + "=" + _value(name, value) for name, value in self.values.items()
        )
        return f"{key} {values} {nanoseconds(self.time)}"


def nanoseconds(time: Time) -> int:
    """A time as nanoseconds since the epoch."""
    if isinstance(time, datetime.datetime):
        if time.tzinfo is None:
            raise ValueError(f"{time} has no zone; which moment it is depends on where one reads it")
        since = time - _EPOCH
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000
    if isinstance(time, bool) or not isinstance(time, int):
        raise TypeError(f"{time!r} is neither nanoseconds nor a datetime")
    return time


def _escaped(text: str, special: str) -> str:
    if not text:
        raise ValueError("names and tags are not empty")
    if "\n" in text or text.endswith("\\"):
        raise ValueError(f"{text!r} cannot be written in line protocol")
    return "".join("\\" + c if c in special else c for c in text)


def _value(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}i"
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{name}: line protocol has no {value}")
        return repr(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    raise TypeError(f"{name}: {value!r} is no float, int, bool or str")
