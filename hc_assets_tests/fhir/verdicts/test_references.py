import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hc_assets.domains import warehouse_of
from hc_assets.fhir.verdicts.references import references_resolve
from hc_assets.fhir.versions.apply import apply_batches
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets_tests.fhir.versions.delivered_rows import TABLE, Sent, write
from hc_assets_tests.fhir.worker_runs import ENRICHED, Run, observation
from hc_assets_tests.fhir.worker_runs import patient as made_patient

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
    expected = {"references": references, "missing": missing, "deleted": deleted, "elsewhere": 0}
    assert counts == expected


# --- Pages of searches ---

EAST = "https://east.example/fhir"
_NAMES = count()
# Each resource of one server, by what it refers to; some of it is on others, or nowhere.
TARGETS = [
    "Patient/p0",
    f"{NORTH}/Patient/p1",
    "http://North.example:80/fhir/Patient/p0",
    f"{NORTH}/Patient/p1/_history/2",
    f"{NORTH}/Patient/gone",
    "Patient/gone",
    f"{EAST}/Patient/p1",
    "https://elsewhere.example/Group/9",
]
RESOURCES = [
    *(made_patient(f"p{n}") for n in range(2)),
    *(observation(f"o{n}", target) for n, target in enumerate(TARGETS)),
]


def page(resources: Sequence[dict[str, Any]], base: str) -> bytes:
    entries = [
        {"fullUrl": f"{base}/{each['resourceType']}/{each['id']}", "resource": each}
        for each in resources
    ]
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}).encode()


def counted(
    folder: Path, batches: Sequence[Sequence[bytes]], source: str
) -> tuple[dict[str, int], list[str]]:
    """What the check counts where pages come in batches; and what its resources refer to."""
    layout = Layout.of(folder / str(next(_NAMES)))
    for number, pages in enumerate(batches):
        run = Run(layout, batch=f"2026030{number + 1}T120000Z-0a1b2c3d", source=source)
        run.all(**{f"p{n}__json": data for n, data in enumerate(pages)})
    with warehouse_of(layout).write() as connection:
        apply_batches(connection, read_partitions(layout, ENRICHED))
        subjects = connection.execute(
            "SELECT decode(resource)::JSON ->> '$.subject.reference' FROM fhir.current_resources"
        ).fetchall()
        return references_resolve(connection).counts, sorted(str(each) for (each,) in subjects)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # What is below its own base and nowhere is missing; to a name, it may be elsewhere
        ("", {"references": 6, "missing": 2, "deleted": 0, "elsewhere": 2}),
        ("north", {"references": 4, "missing": 1, "deleted": 0, "elsewhere": 4}),
    ],
)
def test_what_refers_to_what_does_not_depend_on_how_a_search_was_paged(
    tmp_path: Path, source: str, expected: dict[str, int]
):
    whole, references = counted(tmp_path, [[page(RESOURCES, NORTH)]], source)
    assert whole == expected

    random = Random(source)  # noqa: S311 - tests
    for _ in range(2):
        # Two batches of two pages each
        pages: list[list[dict[str, Any]]] = [[], [], [], []]
        for each in random.sample(RESOURCES, len(RESOURCES)):
            random.choice(pages).append(each)
        made = [page(each or RESOURCES[:1], NORTH) for each in pages]
        found, referred = counted(tmp_path, [made[:2], made[2:]], source)
        assert found == whole
        if not source:
            assert referred == references
