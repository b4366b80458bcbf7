"""Whether the table of a view is of all resources that there are, and as its view has it.

Belongs here: pure evaluators; which assets they judge is in `checks.py`.
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from hc_assets.core.verdicts import Verdict, all_accounted_for, none_of
from hc_assets.fhir.views.shares import Share


def every_resource_accounted_for(current: int, shares: Mapping[str, Share]) -> Verdict:
    """Judge whether each current resource of the view's type was read, or refused with a reason.

    Args:
        current: resources that there are.
        shares: of the view's table, by batch.
    """
    refused = sum(count for share in shares.values() for count in share.refused.values())
    taken = sum(share.resources for share in shares.values())
    return all_accounted_for(current, taken - refused, refused, what="resources")


def no_resource_refused(shares: Mapping[str, Share]) -> Verdict:
    """Judge whether the view could be evaluated on every resource.

    Args:
        shares: of the view's table, by batch.
    """
    refused: dict[str, int] = {}
    for share in shares.values():
        for why, count in share.refused.items():
            refused[why] = refused.get(why, 0) + count
    total = sum(share.resources for share in shares.values())
    verdict = none_of(sum(refused.values()), total, what="resources are refused")
    verdict.counts.update(refused)
    return verdict


def columns_as_declared(wanted: pa.Schema, found: Iterable[pa.Schema]) -> Verdict:
    """Judge whether each part has the columns of the view, of its types and in its order.

    Args:
        wanted: columns of the view's table.
        found: columns of each part.
    """
    schemas = list(found)
    others = sum(not wanted.equals(each) for each in schemas)
    return none_of(others, len(schemas), what="parts have other columns than the view")
