"""What calls are named in logs, so that the records of both sides about one call can be found together.

A call is named by its caller: by what its log calls the connection, its *log number*, and the number of the call. In
the native dialect each side tells its log number in its greeting, ahead of any call. As each side has its own, a call
and one in the other direction never have the same name; a peer that tells ours for its own is as one that tells none.
"""

from __future__ import annotations

from pellucid.wire.messages import MethodCall

__all__ = ["id_of_ours", "id_of_theirs"]


def id_of_ours(log_number: str, call_id: int) -> str:
    """What that call, or batch, of this side's is named."""
    return f"{log_number}-{call_id}"


def id_of_theirs(log_number: str, peer_log_number: str | None, call: MethodCall) -> str:
    """What `call`, which the peer made, is named. Where the peer did not tell what it calls it, only this side knows.

    The calls of a batch are named by the batch and their places in it.
    """
    place = call.call_id if call.batch is None else f"{call.batch.call_id}.{call.call_id}"
    if peer_log_number is None or peer_log_number == log_number:
        return f"{log_number}-p{place}"
    return f"{peer_log_number}-{place}"
