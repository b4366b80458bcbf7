"""Tables of views are brought up to what the warehouse holds: only the shares that have changed.

Belongs here: what is to be made, and what a commit then says. Comparing is in `shares.py`, making
in `workers.py`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from hc_assets.fhir.versions import ledger
from hc_assets.fhir.views.declared import PREFIX
from hc_assets.fhir.views.places import Places, places_of
from hc_assets.fhir.views.schemas import TABLES, declared_view
from hc_assets.fhir.views.shares import (
    Share,
    Standing,
    noted,
    parts_in,
    shares_in,
    standing,
)
from hc_assets.fhir.views.workers import MadeShare, ViewWork
from hc_assets.lake.incremental import reusable_commit
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Commit, DamagedCommitError, Part, read_commit

Make = Callable[[list[ViewWork]], list[list[MadeShare]]]


@dataclass(frozen=True)
class UpdatedView:
    """What a view's table is to hold.

    Attributes:
        view: its name.
        parts: in the order of the batches.
        inputs: for its commit.
        made: batches whose share was made.
        resources: that the table is of.
        refused: of them those without rows, by where in the view and why.
    """

    view: str
    parts: list[Part]
    inputs: dict[str, str]
    made: int
    resources: int
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        present: current resources of each view's type, by view and batch.
        last: commit of each view whose parts can be kept; None where none can.
        inputs: hash of each batch that the warehouse has taken in, by `<table>/<batch>`.
        work: a piece for each batch of which a share has changed.
    """

    present: Mapping[str, Mapping[str, Standing]]
    last: Mapping[str, Commit | None]
    inputs: dict[str, str]
    work: list[ViewWork]


def plan(connection: duckdb.DuckDBPyConnection, layout: Layout, views: Sequence[str]) -> Plan:
    """Compare what the warehouse holds with what the tables of views hold.

    Args:
        connection: to the warehouse.
        layout: where the lake is.
        views: names of those that are wanted.
    """
    types = {view: declared_view(view).resource for view in views}
    digests = ledger.digests(connection) if (inputs := ledger.inputs(connection)) else {}
    by_type = standing(connection, types.values(), digests)
    present = {view: by_type[type_] for view, type_ in types.items()}
    last = {view: _last(layout, view) for view in views}
    stale: defaultdict[str, list[str]] = defaultdict(list)
    for view in views:
        known = shares_in(last[view])
        for batch, found in present[view].items():
            if batch not in known or known[batch].digest != found.digest:
                stale[batch].append(view)
    work = []
    for batch, of_batch in sorted(stale.items()):
        wanted: dict[str, Places] = {
            type_: places_of(connection, type_, batch)
            for type_ in sorted({types[view] for view in of_batch})
        }
        work.append(ViewWork(str(layout.data_dir), batch, tuple(of_batch), wanted))
    return Plan(present, last, inputs, work)


def _last(layout: Layout, view: str) -> Commit | None:
    """The last commit, where its parts can be kept."""
    folder = layout.partition(f"{PREFIX}{view}", None)
    try:
        last = reusable_commit(read_commit(folder), TABLES[f"{PREFIX}{view}"].code_version)
    except DamagedCommitError:
        return None
    if last is None or not all((folder / part.name).exists() for part in last.parts):
        return None
    return last


def updated(planned: Plan, made: Iterable[MadeShare]) -> list[UpdatedView]:
    """Put together what each view's table is to hold.

    Args:
        planned: what was to be done.
        made: what was made of it.
    """
    by_view: defaultdict[str, dict[str, MadeShare]] = defaultdict(dict)
    for each in made:
        by_view[each.view][each.batch] = each
    return [
        _updated(view, planned, by_view[view], found) for view, found in planned.present.items()
    ]


def _updated(
    view: str, planned: Plan, made: Mapping[str, MadeShare], present: Mapping[str, Standing]
) -> UpdatedView:
    last = planned.last[view]
    known, kept = shares_in(last), parts_in(last)
    shares: dict[str, Share] = {}
    parts: list[Part] = []
    refused: Counter[str] = Counter()
    for batch, found in sorted(present.items()):
        if batch in made:
            new, counts = made[batch].parts, dict(sorted(made[batch].refused.items()))
            shares[batch] = Share(found.digest, found.resources, len(new), counts)
            parts += new
        else:
            shares[batch] = known[batch]
            parts += kept[batch]
        refused.update(shares[batch].refused)
    return UpdatedView(
        view,
        parts,
        planned.inputs | noted(shares),
        len(made),
        sum(share.resources for share in shares.values()),
        refused,
    )
