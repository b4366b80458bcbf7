"""Whether the table of a view is of all resources that there are, and as its view has it.

Belongs here: pure evaluators; which assets they judge is in `checks.py`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa

from hc_assets.core.verdicts import Verdict, all_accounted_for, none_of
from hc_assets.fhir.views.shares import Share


def every_resource_accounted_for(current: int, shares: Mapping[str, Share]) -> Verdict:
    """Judge whether each current resource of the view's type was read, or refused with a reason.

    Args:
        current: resources that there are.
        shares: of the view's table, by batch.

    Returns:
        A verdict that counts those that were refused, by where in the view and why.
    """
    refused: Counter[str] = Counter()
    for share in shares.values():
        refused.update(share.refused)
    taken, set_aside = sum(s.resources for s in shares.values()), refused.total()
    verdict = all_accounted_for(current, taken - set_aside, set_aside, what="resources")
    verdict.counts.update(sorted(refused.items()))
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
