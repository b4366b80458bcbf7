"""References by query replaced in single resources, each fenced in by itself.

Belongs here: the replacing, and keeping what an error left as it was. What queries stand for is
looked up in `conditional_references.py`.
"""

from collections import Counter
from collections.abc import Mapping

import duckdb
import pyarrow as pa

from hc_assets.core.fence import InternalError, fenced
from hc_assets.fhir.references import resolve

_RESOLUTIONS = pa.schema(
    [
        pa.field("batch", pa.string()),
        pa.field("place", pa.int64()),
        pa.field("error", pa.string()),
    ]
)


class Resolver:
    """Resolves the references of resources; those of one for which that raises stay as they are.

    Attributes:
        errors: batch and place of each resource that it was asked for, with the class and the
            places of the error where that raised.
    """

    def __init__(self, targets: Mapping[str | None, Mapping[str, str]]) -> None:
        self._targets = targets
        self.errors: dict[tuple[str, int], str | None] = {}

    def __call__(
        self, resource: bytes | None, batch: str, place: int, source: str | None
    ) -> bytes | None:
        """The resource with its references resolved; None where that changes nothing."""
        if resource is None:
            return None
        made = fenced(_changed, resource, self._targets.get(source, {}))
        if isinstance(made, InternalError):
            self.errors[batch, place] = made.error
            return None
        self.errors[batch, place] = None
        return made

    def keep_errors(self, connection: duckdb.DuckDBPyConnection) -> Counter[str]:
        """Replace what is kept of these resources' errors; gives how many there are of each."""
        rows = [
            {"batch": batch, "place": place, "error": error}
            for (batch, place), error in self.errors.items()
        ]
        connection.register("resolved_now", pa.Table.from_pylist(rows, _RESOLUTIONS))
        connection.execute(
            "DELETE FROM fhir.failed_resolutions AS known USING resolved_now AS now"
            " WHERE now.batch = known.batch AND now.place = known.place"
        )
        connection.execute(
            "INSERT INTO fhir.failed_resolutions SELECT * FROM resolved_now WHERE error IS NOT NULL"
        )
        connection.unregister("resolved_now")
        return Counter(error for error in self.errors.values() if error is not None)


def _changed(resource: bytes, targets: Mapping[str, str]) -> bytes | None:
    made, _ = resolve(resource, targets)
    return None if made == resource else made
