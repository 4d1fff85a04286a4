"""The client."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import time as clock
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Dict, Iterable, Iterator, List, Optional, Union

from .error import ChronolithError, Rejected
from .follow import Change, change, events
from .market import Market
from .record import Record, Time, nanoseconds

#: So many bytes are written in one request.
_BATCH_BYTES = 4 << 20
#: How long to wait before coming back to a node that went away: seconds, at most.
_LONGEST_PAUSE_S = 30.0


class Client:
    """A node of Chronolith, by the address of its HTTP door.

    ``token`` is one that ``chronolith token new`` made. ``timeout_s`` is how long to wait for an answer.
    """

    def __init__(self, url: str = "http://127.0.0.1:8428", token: Optional[str] = None, timeout_s: float = 60.0):
        self._url = url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s
        #: What the node's account offers, buys and sells.
        self.market = Market(self)

    def write(self, records: Union[Record, Iterable[Record]]) -> int:
        """Writes records; how many there were. When it returns they are as safe as the node promises.

        Raises :class:`Rejected` where the node did not take all: the others are kept, also those that
        come after. Its ``line`` is the number of the first record that was not taken, from 1.
        """
        if isinstance(records, Record):
            records = [records]
        count, lines, size, rejected = 0, [], 0, None
        for record in records:
            line = record.line()
            lines.append(line)
            size += len(line) + 1
            count += 1
            if size >= _BATCH_BYTES:
                rejected = self._write_some(lines, count - len(lines), rejected)
                lines, size = [], 0
        if lines:
            rejected = self._write_some(lines, count - len(lines), rejected)
        if rejected is not None:
            raise rejected
        return count

    def _write_some(self, lines, before, rejected):
        """Writes some of many; the first rejection of all, with its line among all."""
        try:
            self.write_lines("\n".join(lines))
        except Rejected as error:
            if rejected is None:
                # A text may hold line ends, so that a record may take several lines.
                first = _record_at(lines, error.line)
                error.line = None if first is None else before + first
                return error
        return rejected

    def write_lines(self, lines: str) -> None:
        """Writes line protocol as it is; times are nanoseconds. Raises :class:`Rejected` as ``write`` does."""
        body = gzip.compress(lines.encode("utf-8"), compresslevel=1)
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
        self._read("/api/v2/write", {"bucket": "default", "precision": "ns"}, body, headers)

    def sql(self, query: str, max_rows: Optional[int] = None, timeout_s: Optional[float] = None) -> List[Dict[str, Any]]:
        """The rows of a query. Times are text in RFC 3339, since ``datetime`` has no nanoseconds."""
        return json.loads(self._ask(query, "application/json", max_rows, timeout_s))

    def arrow(self, query: str, max_rows: Optional[int] = None, timeout_s: Optional[float] = None):
        """The answer to a query as a ``pyarrow.Table``."""
        import pyarrow.ipc

        body = self._ask(query, "application/vnd.apache.arrow.stream", max_rows, timeout_s)
        with pyarrow.ipc.open_stream(io.BytesIO(body)) as reader:
            return reader.read_all()

    def pandas(self, query: str, max_rows: Optional[int] = None, timeout_s: Optional[float] = None):
        """The answer to a query as a ``pandas.DataFrame``."""
        return self.arrow(query, max_rows, timeout_s).to_pandas()

    def proved(self, query: str, nonce: Optional[bytes] = None, since: int = 0, bodies: bool = True) -> bytes:
        """The answer to a query from what is anchored, with its proof: a file for ``chronolith verify answer``.

        ``nonce`` is what you chose, so that no older answer passes for this one; ``since`` the height of the block
        that you trust, 0 for the genesis.
        """
        asked: Dict[str, Any] = {"sql": query, "prove": True, "since": since, "without_bodies": not bodies}
        if nonce is not None:
            asked["nonce"] = nonce.hex()
        return self._read("/api/v1/sql", {}, json.dumps(asked).encode("utf-8"), {"Content-Type": "application/json"})

    def promql(self, query: str, time: Optional[Time] = None) -> Dict[str, Any]:
        """PromQL at one time, now by default: ``{"resultType": ..., "result": ...}``."""
        form = {"query": query}
        if time is not None:
            form["time"] = _seconds(time)
        return self._prometheus("/api/v1/query", form)

    def promql_range(self, query: str, start: Time, end: Time, step_s: float) -> Dict[str, Any]:
        """PromQL at every step of a range."""
        form = {"query": query, "start": _seconds(start), "end": _seconds(end), "step": repr(float(step_s))}
        return self._prometheus("/api/v1/query_range", form)

    def execute(self, statement: str) -> Any:
        """Carries out a statement about continuous queries: CREATE, REFRESH, PAUSE, RESUME, DROP."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        return json.loads(self._read("/api/v1/continuous", {}, statement.encode("utf-8"), headers))

    def continuous(self, name: str) -> List[Dict[str, Any]]:
        """The rows of a continuous query as they are now."""
        return json.loads(self._read(f"/api/v1/continuous/{urllib.parse.quote(name, safe='')}", {}))["rows"]

    def follow(self, name: str, cursor: Optional[int] = None) -> Iterator[Change]:
        """The changes of a continuous query as they come, without end: each at least once, in order.

        Without a cursor it begins with the rows that there are. A lost connection is made again, and
        goes on where it was.
        """
        path = f"/api/v1/continuous/{urllib.parse.quote(name, safe='')}/changes"
        pause_s = 0.5
        while True:
            begin = "snapshot" if cursor is None else str(cursor)
            try:
                with self._open(path, {"from": begin}, None, {"Accept": "text/event-stream"}) as response:
                    for kind, identity, data in events(response):
                        pause_s = 0.5
                        if kind == "error":
                            raise _refusal(None, data)
                        told = change(kind, identity, data)
                        if told is not None:
                            yield told
                        if identity:
                            cursor = int(identity)
            except (OSError, http.client.HTTPException, ChronolithError) as error:
                # A node that refuses is not asked again; one that is away is.
                if isinstance(error, ChronolithError) and error.status not in (None, 429, 502, 503, 504):
                    raise
                if isinstance(error, ChronolithError) and error.code is not None and error.status is None:
                    raise
            clock.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _ask(self, query: str, accept: str, max_rows: Optional[int], timeout_s: Optional[float]) -> bytes:
        asked: Dict[str, Any] = {"sql": query}
        if max_rows is not None:
            asked["max_rows"] = max_rows
        if timeout_s is not None:
            asked["timeout_ms"] = int(timeout_s * 1_000)
        headers = {"Content-Type": "application/json", "Accept": accept}
        return self._read("/api/v1/sql", {}, json.dumps(asked).encode("utf-8"), headers)

    def _prometheus(self, path: str, form: Dict[str, str]) -> Dict[str, Any]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return json.loads(self._read(path, {}, urllib.parse.urlencode(form).encode("utf-8"), headers))["data"]

    def _read(self, path, parameters, body=None, headers=None, method=None) -> bytes:
        try:
            with self._open(path, parameters, body, headers or {}, method) as response:
                return response.read()
        except http.client.IncompleteRead as error:
            raise ChronolithError("the answer broke off: the query failed while it was answered") from error
        except http.client.HTTPException as error:
            raise ChronolithError(f"{self._url} does not answer as HTTP: {error}") from error

    def _open(self, path, parameters, body, headers, method=None):
        url = self._url + path
        if parameters:
            url += "?" + urllib.parse.urlencode(parameters)
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        if self._token is not None:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            return urllib.request.urlopen(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            retry = error.headers.get("Retry-After")
            raise _refusal(error.code, text, retry) from None
        except OSError as error:
            raise ChronolithError(f"{self._url} cannot be reached: {error}") from error


def _seconds(time: Time) -> str:
    whole, rest = divmod(nanoseconds(time), 10**9)
    return f"{whole}.{rest:09}" if whole >= 0 else repr(nanoseconds(time) / 1e9)


def _record_at(lines, line):
    """The number of the record, from 1, that a line of all lines is of."""
    end = 0
    for number, text in enumerate(lines, 1):
        end += text.count("\n") + 1
        if line is not None and line <= end:
            return number
    return None


def _refusal(status, text, retry_after=None):
    """The error that a body tells, in any of the forms that the node's routes have."""
    retry = int(retry_after) if retry_after and retry_after.isdigit() else None
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("error"), str):
        return ChronolithError(text or f"status {status}", status, retry_after_s=retry)
    if "message" not in told:
        # As Prometheus has it.
        return ChronolithError(told["error"], status, told.get("errorType"), retry_after_s=retry)
    code = told["error"]
    kind = Rejected if code == "partial_write" else ChronolithError
    return kind(told["message"], status, code, told.get("line"), told.get("column"), retry)
