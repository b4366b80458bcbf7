"""A view over many resources: bytes in, columns out.

Belongs here: the two ways put together, and Arrow's types. Rows of one resource are in `rows.py`,
generated code is in `fast/`; what of a table is kept is in `shares.py`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.fence import InternalError, fenced
from hc_assets.fhir.fhirpath.evaluator import r4_types
from hc_assets.fhir.r4.json_text import JsonProblem, read_document
from hc_assets.fhir.views.definition import Column, Family, View
from hc_assets.fhir.views.fast.source import Run, generated
from hc_assets.fhir.views.fast.structs import UnsupportedError
from hc_assets.fhir.views.rows import RefusedResourceError, ResourceRows, Row

_TYPES: dict[Family, pa.DataType] = {
    "text": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "decimal": pa.string(),
}


def arrow_field(of: Column) -> pa.Field:
    """Arrow field of a column, with what its author says of it."""
    type_ = _TYPES[of.family]
    said = of.description or f"`{of.path.text}`"
    if of.family == "decimal":
        said += " (a number as text, with all its digits)"
    return column(of.name, pa.list_(type_) if of.is_collection else type_, said)


def arrow_schema(view: View) -> pa.Schema:
    """Arrow schema of a view's rows."""
    return pa.schema([arrow_field(each) for each in view.columns()])


@dataclass
class MadeRows:
    """Rows of some resources.

    Attributes:
        rows: in the order of the resources.
        numbers: for each row that of its resource, among those that came.
        refused: resources that no row could be made of, by where in the view and why.
    """

    rows: pa.RecordBatch
    numbers: pa.Array
    refused: Counter[str] = field(default_factory=Counter)


class ViewTable:
    """Makes the rows of many resources.

    Attributes:
        schema: of the rows.
        is_generated: whether there is generated code for the view.
    """

    def __init__(self, view: View, *, general: bool = False) -> None:
        """Compile a view.

        Args:
            view: that was read without faults.
            general: leave generated code out; the rows are the same.
        """
        self.schema = arrow_schema(view)
        self._general = ResourceRows(view, r4_types())
        self._run: Run | None = None
        if not general:
            try:
                self._run = generated(view, r4_types())
            except UnsupportedError:
                self._run = None
        self.is_generated = self._run is not None

    def rows(self, resources: Sequence[bytes]) -> MadeRows:
        """Make the rows of resources.

        Args:
            resources: JSON; those of other types than the view's have no rows.
        """
        lists: list[list[Any]] = [[] for _ in range(len(self.schema) + 1)]
        refused: Counter[str] = Counter()

        def general(number: int, data: bytes) -> None:
            made = fenced(self._rows_of, data)
            if isinstance(made, InternalError):
                refused[made.text] += 1
            elif isinstance(made, str):
                refused[made] += 1
            else:
                for row in made:
                    for cells, cell in zip(lists, (*row, number), strict=True):
                        cells.append(cell)

        if self._run is None:
            for number, data in enumerate(resources):
                general(number, data)
        else:
            self._run(resources, lists, general)
        *cells, numbers = lists
        arrays = [pa.array(values, of.type) for values, of in zip(cells, self.schema, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        return MadeRows(batch, pa.array(numbers, pa.int64()), refused)

    def _rows_of(self, data: bytes) -> list[Row] | str:
        """Rows of one resource the general way, or why there are none."""
        try:
            return self._general(read_document(data).root)
        except RefusedResourceError as error:
            return str(error)
        except JsonProblem as problem:
            return f"not read: {problem.rule}"
