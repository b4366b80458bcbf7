"""The rows of one batch for several views, in a worker process.

Belongs here: reading a batch once, and writing the parts of each view. Which batches and resources
those are is found in `shares.py`.
"""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from hc_assets.fhir.views.declared import PREFIX
from hc_assets.fhir.views.places import Places, taken
from hc_assets.fhir.views.schemas import SOURCE, declared_view, table_schema
from hc_assets.fhir.views.shares import writer_number
from hc_assets.fhir.views.table import ViewTable
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter
from hc_assets.lake.tables import read_partition

_ENRICHED = "fhir/enriched_resources"


@dataclass(frozen=True)
class ViewWork:
    """A piece of work: the shares of one batch in several views.

    Attributes:
        data_dir: of the lake.
        batch: key.
        views: names of those whose share is made.
        places: current resources of the batch, by type.
    """

    data_dir: str
    batch: str
    views: tuple[str, ...]
    places: dict[str, Places]


@dataclass(frozen=True)
class MadeShare:
    """What was made of a batch for one view.

    Attributes:
        view: its name.
        batch: key.
        parts: that the rows are in.
        refused: resources without rows, by where in the view and why.
    """

    view: str
    batch: str
    parts: list[Part]
    refused: Counter[str]


@cache
def _table(view: str) -> ViewTable:
    return ViewTable(declared_view(view))


class _Filling:
    """One view's parts of a batch, while they are written."""

    def __init__(self, layout: Layout, work: ViewWork, view: str, stack: ExitStack) -> None:
        definition = declared_view(view)
        self.made = MadeShare(view, work.batch, [], Counter())
        self._places = work.places[definition.resource]
        self._schema = table_schema(definition)
        self._table = _table(view)
        self.writer = stack.enter_context(
            PartWriter(
                layout.partition(f"{PREFIX}{view}", None),
                self._schema,
                number=writer_number(work.batch),
            )
        )

    def take(self, resources: pa.Array, first: int) -> None:
        """Take those that are the view's of some rows of the batch.

        Args:
            resources: content of the rows.
            first: place of the first of them.
        """
        chosen, which = taken(resources, first, self._places)
        if not chosen:
            return
        made = self._table.rows(chosen)
        self.made.refused.update(made.refused)
        columns = made.rows.columns
        if len(columns) < len(self._schema):
            sources = self._places.sources[which]
            columns.append(sources.take(made.numbers).cast(SOURCE.type))
        self.writer.write(pa.RecordBatch.from_arrays(columns, schema=self._schema))


def make_shares(work: ViewWork) -> list[MadeShare]:
    """Make the rows of one batch for each of several views.

    Raises:
        DamagedPartError: a part of the batch is gone or is not what its commit says.
    """
    layout = Layout.of(work.data_dir)
    with ExitStack() as stack:
        filled = [_Filling(layout, work, view, stack) for view in work.views]
        first = 0
        for rows in read_partition(layout, _ENRICHED, work.batch).batches(["resource"]):
            for each in filled:
                each.take(rows["resource"], first)
            first += rows.num_rows
    for each in filled:
        each.made.parts.extend(each.writer.parts)
    return [each.made for each in filled]
