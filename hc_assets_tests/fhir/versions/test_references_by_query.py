"""What references by query stand for, once their targets are there, gone or several."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pytest

from hc_assets.fhir.export.exported_rows import current_lines
from hc_assets.fhir.references import resolve
from hc_assets.fhir.verdicts.references import failed_resolutions, references_by_query_resolve
from hc_assets.fhir.versions import resolver
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.versions.delivered_rows import (
    Sent,
    apply,
    body,
    write,
)

ASKED = "Practitioner?identifier=s|1"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(tmp_path / "warehouse.duckdb") as opened:
        yield opened


def doctor(id_: str, day: int = 0, *, gone: bool = False) -> Sent:
    return Sent(id_, None if gone else "d", day, False, ("s|1",), type="Practitioner")


def referred(connection: duckdb.DuckDBPyConnection, id_: str = "p1") -> list[str]:
    ((resource,),) = connection.execute(
        "SELECT resource FROM fhir.current_resources WHERE resource_id = ?", [id_]
    ).fetchall()
    return [each["reference"] for each in json.loads(resource)["to"]]


def test_a_reference_by_query_is_resolved_where_one_resource_matches(layout, connection):
    others = ("Group?identifier=s|1", "Practitioner?identifier=s|2", "Practitioner?name=x")
    write(layout, "b1", [Sent("p1", "a", 0, references=(ASKED, *others)), doctor("d1")])
    apply(connection, layout)
    assert referred(connection) == ["Practitioner/d1", *others]


@pytest.mark.parametrize(
    "asked",
    [
        "Practitioner?identifier=1",
        "Practitioner?identifier=s%7C1",
        "Practitioner?identifier=s|1",
    ],
)
def test_a_token_may_leave_out_the_system_and_be_escaped(layout, connection, asked):
    write(layout, "b1", [Sent("p1", "a", 0, references=(asked,)), doctor("d1")])
    apply(connection, layout)
    assert referred(connection) == ["Practitioner/d1"]


def test_a_token_with_an_empty_system_means_an_identifier_without_one(layout, connection):
    asked = "Practitioner?identifier=|1"
    write(layout, "b1", [Sent("p1", "a", 0, references=(asked,)), doctor("d1")])
    apply(connection, layout)
    assert referred(connection) == [asked]


def test_the_target_of_a_query_follows_the_current_resources(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0, references=(ASKED,))])
    apply(connection, layout)
    assert referred(connection) == [ASKED]
    for day, (batch, sent, expected) in enumerate(
        [
            ("b2", doctor("d1"), "Practitioner/d1"),
            ("b3", doctor("d2"), ASKED),
            ("b4", doctor("d1", 1, gone=True), "Practitioner/d2"),
            ("b5", Sent("p1", "b", 1, references=(ASKED,)), "Practitioner/d2"),
        ]
    ):
        write(layout, batch, [sent])
        assert apply(connection, layout).batches == 1, day
        assert referred(connection) == [expected], batch


def test_a_query_that_leads_to_none_or_to_several_is_counted(layout, connection):
    unknown = "Practitioner?identifier=s|9"
    write(layout, "b1", [Sent("p1", "a", 0, references=(ASKED, unknown)), doctor("d1")])
    apply(connection, layout)
    verdict = references_by_query_resolve(connection)
    assert (verdict.passed, verdict.value, verdict.counts["total"]) == (False, 1.0, 2)
    write(layout, "b2", [doctor("d2")])
    apply(connection, layout)
    assert references_by_query_resolve(connection).value == 2.0
    write(layout, "b3", [Sent("p1", "b", 1)])
    apply(connection, layout)
    assert references_by_query_resolve(connection).passed


def test_a_resource_whose_references_raise_keeps_them_and_is_known(layout, connection, monkeypatch):
    def failing(resource: bytes, targets: Mapping[str, str]) -> tuple[bytes, list[str]]:
        if b'"content":"a"' in resource:
            raise RecursionError("Jane Doe")
        return resolve(resource, targets)

    sent = [Sent("p1", "a", 0, references=(ASKED,)), Sent("p2", "b", 0, references=(ASKED,))]
    write(layout, "b1", [*sent, doctor("d1")])
    with monkeypatch.context() as patch:
        patch.setattr(resolver, "resolve", failing)
        assert sum(apply(connection, layout).unresolved.values()) == 1
    assert referred(connection) == [ASKED]
    assert referred(connection, "p2") == ["Practitioner/d1"]
    ((error, count),) = failed_resolutions(connection).items()
    assert count == 1
    assert error.startswith("RecursionError at resolver.py:")
    assert "Jane" not in error

    # Resolved once more, when what the query stands for changes
    write(layout, "b2", [doctor("d1", 1, gone=True), doctor("d3")])
    apply(connection, layout)
    assert referred(connection) == ["Practitioner/d3"]
    assert failed_resolutions(connection) == {}


def exported(connection: duckdb.DuckDBPyConnection, since: str) -> list[bytes]:
    return [line for _, line in current_lines(connection, since)]


def test_an_export_since_a_batch_has_rows_whose_query_resolves_differently(layout, connection):
    other = Sent("p2", "x", 0, references=("Practitioner?identifier=s|2",))
    write(layout, "b1", [Sent("p1", "a", 0, references=(ASKED,)), other])
    apply(connection, layout)
    write(layout, "b2", [doctor("d1")])
    apply(connection, layout)
    resolved = body(Sent("p1", "a", 0, references=("Practitioner/d1",)))
    assert exported(connection, "b1") == [resolved, body(doctor("d1"))]
    assert exported(connection, "b2") == []
    write(layout, "b3", [Sent("p3", "c", 0)])
    apply(connection, layout)
    assert exported(connection, "b2") == [body(Sent("p3", "c", 0))]


def test_the_history_keeps_references_as_they_came(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0, references=(ASKED,)), doctor("d1")])
    apply(connection, layout)
    ((resource,),) = connection.execute(
        "SELECT resource FROM fhir.resource_history WHERE resource_id = 'p1'"
    ).fetchall()
    assert json.loads(resource)["to"] == [{"reference": ASKED}]
