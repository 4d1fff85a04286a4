"""Why a request failed."""

from __future__ import annotations


class ChronolithError(Exception):
    """The node refused a request, or cannot be reached.

    ``status`` is the HTTP status (``None`` where there was no answer), ``code`` the node's word for the
    kind of problem, ``line`` and ``column`` the place in the query or the body, from 1.
    """

    def __init__(self, message, status=None, code=None, line=None, column=None, retry_after_s=None):
        super().__init__(message)
        self.status = status
        self.code = code
        self.line = line
        self.column = column
        self.retry_after_s = retry_after_s


class Rejected(ChronolithError):
    """Some records of a write were not taken; the others are kept."""
