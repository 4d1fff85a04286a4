"""A client of Chronolith's HTTP API: write records, ask in SQL or PromQL, follow continuous queries.

It needs nothing but Python; ``pyarrow`` and ``pandas`` are used where an answer is wanted in their form.
"""

from .client import Client
from .error import ChronolithError, Rejected
from .follow import Change
from .record import Record

__all__ = ["Change", "ChronolithError", "Client", "Record", "Rejected"]
