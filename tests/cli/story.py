"""What stories that drive nodes by the client share."""

import time

from chronolith import ChronolithError


def until(what, look):
    """Looks again and again until there is something."""
    end, why = time.monotonic() + 180, ""
    while time.monotonic() < end:
        try:
            found = look()
        except ChronolithError as error:
            found, why = None, f" ({error})"
        if found:
            return found
        time.sleep(0.2)
    raise SystemExit(f"{what} never happens{why}")
