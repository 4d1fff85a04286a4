"""What stories that drive nodes by the client share."""

import json
import subprocess
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


def refused(status, work, *said):
    """Does what must be refused with a status, in words that say so."""
    try:
        work()
    except ChronolithError as error:
        assert error.status == status and all(word in str(error) for word in said), (error.status, error)
        return error
    raise SystemExit(f"nobody refuses {said}")


def account(client):
    """What the ledger has of the account of a node."""
    address = client.market.status()["account"]
    return json.loads(client._read(f"/api/v1/chain/accounts/{address}", {}))


def right(client, request):
    """A right that the account of a node bought."""

    def bought():
        return [one for one in client.market.rights("bought") if one["request"] == request]

    (found,) = until("the right is seen", bought)
    return found


def hand_in(client, program, name, action):
    """Hands in an action of a node's account, by the name of its key, whatever the node thinks of it.

    Another transaction of the node's may have the nonce: then it is refused, and may be handed in again.
    """
    chain = json.loads(client._read("/api/v1/chain", {}))
    body = {"chain": chain["chain"], "nonce": account(client)["nonce"], "valid_until": chain["height"] + 100}
    body.update(fee=str(10**16), action=action)
    sign = [program, "wallet", "sign", "--from", name, "--wallet", "net/wallet"]
    signed = subprocess.run(sign, input=json.dumps(body).encode(), check=True, stdout=subprocess.PIPE).stdout
    client._read("/api/v1/chain/transactions", {}, signed, {"Content-Type": "application/json"})
