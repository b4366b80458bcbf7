"""What of each batch is in the table of a view, so that only what has changed is made again.

Belongs here: comparing what there is with what the last commit says. A table has a share for each
batch: the rows of those current resources that the batch brought. A share that is the same as
before keeps its parts; so a new batch costs what it brings and what it replaces, deletions and
batches that were taken back disappear, and from scratch the parts come out the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import duckdb
import msgspec

from hc_assets.lake.parts import Commit, Part

_NOTED = "current/"
# Places of current resources, by batch and type, in a form that does not depend on their order.
_STANDING = """
    SELECT resource_type, batch, count(*), bit_xor(md5_number_lower(concat_ws(
        '|', place, content_sha256, coalesce(source, ''), coalesce(md5(resolved), '')
    )))
    FROM fhir.resource_versions
    WHERE is_current AND NOT is_deleted AND list_contains($types, resource_type)
    GROUP BY ALL
"""


class Share(msgspec.Struct, frozen=True):
    """What of one batch is in the table of a view.

    Attributes:
        digest: of the current resources that the batch brought.
        resources: of them.
        parts: that their rows are in.
        refused: those without rows, since the view can't be evaluated on them, by where and why.
    """

    digest: str
    resources: int
    parts: int = 0
    refused: dict[str, int] = {}


class Standing(msgspec.Struct, frozen=True):
    """Current resources of one type that one batch brought.

    Attributes:
        digest: of what they are.
        resources: how many.
    """

    digest: str
    resources: int


def standing(
    connection: duckdb.DuckDBPyConnection, types: Iterable[str], batches: Mapping[str, str]
) -> dict[str, dict[str, Standing]]:
    """Current resources by type and batch.

    Args:
        connection: to the warehouse.
        types: of resources.
        batches: hash of each batch that the warehouse has taken in.
    """
    wanted = sorted(set(types))
    found: dict[str, dict[str, Standing]] = {type_: {} for type_ in wanted}
    if not batches:
        return found
    for type_, batch, count, mark in connection.execute(_STANDING, {"types": wanted}).fetchall():
        digest = sha256(f"{batches.get(batch)} {count} {mark}".encode()).hexdigest()
        found[type_][batch] = Standing(digest, count)
    return found


def noted(shares: Mapping[str, Share]) -> dict[str, str]:
    """Shares by batch, as the inputs of a commit hold them."""
    return {
        f"{_NOTED}{batch}": msgspec.json.encode(share).decode()
        for batch, share in sorted(shares.items())
    }


def shares_in(commit: Commit | None) -> dict[str, Share]:
    """Shares by batch, as the inputs of a commit have them; none where there is no commit."""
    return {
        name.removeprefix(_NOTED): msgspec.json.decode(text, type=Share)
        for name, text in (commit.inputs.items() if commit else ())
        if name.startswith(_NOTED)
    }


def parts_in(commit: Commit | None) -> dict[str, Sequence[Part]]:
    """Parts of a commit by the batch whose share they are."""
    found: dict[str, Sequence[Part]] = {}
    start = 0
    for batch, share in sorted(shares_in(commit).items()):
        found[batch] = commit.parts[start : start + share.parts] if commit else ()
        start += share.parts
    return found


def writer_number(batch: str) -> int:
    """Number in the names of a batch's parts: the same whichever other batches there are."""
    return int(sha256(batch.encode()).hexdigest()[:8], 16) % 100_000
