from pathlib import Path

import pytest

from hc_assets.domains import warehouse_of
from hc_assets.fhir.verdicts.references import references_resolve
from hc_assets.fhir.versions.apply import apply_batches
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets_tests.fhir.versions.delivered_rows import TABLE, Sent, write

NORTH, SOUTH = "https://north.example/fhir", "https://south.example/r4"


def patient(source: str | None, content: str | None = "a") -> Sent:
    return Sent("p1", content, 0, source=source)


def about(source: str | None, target: str = "Patient/p1") -> Sent:
    return Sent("o1", "x", 0, False, (), (target,), type="Observation", source=source)


@pytest.mark.parametrize(
    ("rows", "missing", "deleted"),
    [
        ([patient(None), about(None)], 0, 0),
        ([patient(NORTH), about(NORTH)], 0, 0),
        ([patient(NORTH), about(SOUTH)], 1, 0),
        ([patient("north"), about("south")], 1, 0),
        ([patient("north"), about(None)], 1, 0),
        ([patient(None), about("north")], 1, 0),
        ([patient(NORTH), about(None)], 0, 0),
        ([patient(None), about(NORTH)], 0, 0),
        ([patient(NORTH), patient(SOUTH), about(None)], 1, 0),
        ([patient(NORTH), patient(SOUTH), about(NORTH), about(SOUTH)], 0, 0),
        ([patient(NORTH, None), patient(SOUTH), about(NORTH)], 0, 1),
        ([patient(NORTH, None), about(None)], 0, 1),
        ([about(NORTH)], 1, 0),
    ],
)
def test_references_lead_to_resources_of_their_source(tmp_path: Path, rows, missing, deleted):
    layout = Layout.of(tmp_path)
    write(layout, "b1", rows)
    with warehouse_of(layout).write() as connection:
        apply_batches(connection, read_partitions(layout, TABLE))
        counts = references_resolve(connection).counts
    references = sum(row.type == "Observation" for row in rows)
    assert counts == {"references": references, "missing": missing, "deleted": deleted}
