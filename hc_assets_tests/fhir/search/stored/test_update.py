"""The index follows the current resources by batch, and is the same from scratch."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hc_assets.domains import warehouse_of
from hc_assets.fhir.search import NoIndexError, Searcher, SearchError
from hc_assets.fhir.search.known import OwnParametersError, known_index, own_parameters
from hc_assets.fhir.search.parsing import _referring, searchable
from hc_assets.fhir.search.stored.layout import TABLES
from hc_assets.fhir.search.stored.runs import (
    Generation,
    Share,
    file_of,
    folder_of,
    grouped,
    read_generation,
    write_generation,
)
from hc_assets.fhir.search.stored.update import counted, plan, refresh
from hc_assets.lake.layout import Layout
from hc_assets_tests.conftest import DataFolder
from hc_assets_tests.fhir.search.indexed import index
from hc_assets_tests.fhir.views.test_tables import PATIENT, Lake, bundle, in_process, observation


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of one batch: a patient and two observations."""
    made = Lake(DataFolder(tmp_path_factory.mktemp("lake") / "data"))
    lines = [json.dumps(PATIENT), observation("a", "1.00"), observation("b", "2.0")]
    made.ingest("\n".join(lines))
    return made


def update(layout: Layout) -> Generation:
    with warehouse_of(layout).read() as connection:
        return refresh(connection, layout)


def rows(layout: Layout) -> dict[str, list[tuple[Any, ...]]]:
    """All that the files hold, each table in the order in which it is kept."""
    generation = read_generation(layout)
    assert generation is not None
    found: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
    start = 0
    for run in generation.runs:
        with duckdb.connect(file_of(layout, run), read_only=True) as connection:
            for table in TABLES:
                sql = f"SELECT * REPLACE (row + {start} AS row) FROM {table} ORDER BY rowid"  # noqa: S608 - names of tables
                found[table] += connection.execute(sql).fetchall()
        start += run.rows()
    return found


def ids(layout: Layout, text: str) -> list[str]:
    with Searcher(layout) as searcher:
        bundle_ = json.loads(searcher.search(text))
    return sorted(each["resource"]["id"] for each in bundle_.get("entry", []))


def test_the_index_follows_what_batches_bring_replace_delete_and_what_is_taken_back(lake):
    layout = lake.layout
    with pytest.raises(NoIndexError), Searcher(layout) as searcher:
        searcher.search("Patient")
    first = update(layout)
    assert counted(layout) == (3, 0)
    assert ids(layout, "Observation?value-quantity=ge2") == ["b"]

    second = lake.ingest("\n".join([observation("b", "0.50"), observation("c", "3")]))
    generation = update(layout)
    assert counted(layout) == (4, 0)
    assert generation != first
    assert ids(layout, "Observation?value-quantity=ge2") == ["c"]
    assert ids(layout, "Observation?subject.gender=female") == ["a", "b", "c"]
    again = update(layout)
    assert again == generation, "nothing has changed"

    deletion = {"request": {"method": "DELETE", "url": "Observation/a"}}
    lake.ingest(bundle(deletion), "json")
    update(layout)
    assert counted(layout) == (3, 0)
    assert ids(layout, "Observation") == ["b", "c"]

    assert lake.folder.run("batches", "retract", second, "--reason", "test").exit_code == 0
    update(layout)
    assert ids(layout, "Observation") == ["b"]
    assert ids(layout, "Observation?value-quantity=ge2") == ["b"]
    kept = rows(layout)
    names = [run.name for run in read_generation(layout).runs]
    shutil.rmtree(folder_of(layout).path)
    update(layout)
    assert rows(layout) == kept, "from scratch it is the same"
    assert [run.name for run in read_generation(layout).runs] == names
    leftovers = [each.name for each in Path(folder_of(layout).path).glob(".*")]
    assert leftovers == []


def test_only_batches_that_have_changed_are_read_and_files_of_others_are_merged(lake):
    layout = lake.layout
    update(layout)
    lake.ingest("\n".join(observation(f"n{n}", str(n)) for n in range(5)))
    with warehouse_of(layout).read() as connection:
        planned = plan(connection, layout)
        assert [work.share.resources for work in planned.work] == [5]
        shutil.rmtree(planned.work[0].folder.parent)
        refresh(connection, layout)
    (run,) = read_generation(layout).runs
    assert len(run.shares) >= 2
    merged = rows(layout)
    shutil.rmtree(folder_of(layout).path)
    update(layout)
    assert rows(layout) == merged


def test_runs_are_few_follow_from_the_batches_and_change_little():
    shares = [Share(f"b{n:04d}", str(n), 10 + n % 7) for n in range(500)]
    runs = grouped(reversed(shares))
    assert [share for run in runs for share in run.shares] == shares
    assert len(runs) <= 6
    written, known = 0, set()
    for number in range(1, 501):
        new = [run for run in grouped(shares[:number]) if run.name not in known]
        written += sum(share.resources for run in new for share in run.shares)
        known |= {run.name for run in new}
    assert written < 10 * sum(share.resources for share in shares)


def test_files_that_a_page_may_still_need_stay_for_a_while(tmp_path):
    layout = Layout.of(tmp_path)
    one, two = (Generation(grouped([Share(name, name, 1)])) for name in "ab")
    for generation in (one, two):
        write_generation(layout, generation)
        file_of(layout, generation.runs[0]).write_bytes(b"")
    write_generation(layout, two)
    assert file_of(layout, one.runs[0]).exists()
    path = tmp_path / "search" / f"generation-{one.name()}.json"
    os.utime(path, (0, 0))
    write_generation(layout, two)
    assert not path.exists()
    assert not file_of(layout, one.runs[0]).exists()
    assert file_of(layout, two.runs[0]).exists()


def test_ingest_makes_the_index_the_check_holds_and_the_command_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("HC_SEARCH_INDEX", "true")
    views = tmp_path / "views"
    views.mkdir()
    file = tmp_path / "a.ndjson"
    file.write_text("\n".join([json.dumps(PATIENT), observation("a", "1.00")]))
    data, out = tmp_path / "data", tmp_path / "report.json"
    commands = ["ingest", str(file)], ["report", "--format", "json", "--out", str(out)]
    done = in_process(data, views, *commands)
    assert done.returncode == 0, done.stderr
    checks = {each["check"]: each for each in json.loads(out.read_text())["checks"]}
    assert checks["every_resource_indexed_or_refused"]["passed"]
    folder = DataFolder(data)
    found = folder.run("search", "Observation?value-quantity=1.0&_include=Observation:subject")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["total"] == 1
    assert '"value":1.00' in found.stdout.replace(" ", "")
    wrong = folder.run("search", "Observation?foo=1")
    assert wrong.exit_code == 2
    assert json.loads(wrong.stdout)["resourceType"] == "OperationOutcome"
    lenient = folder.run("search", "--lenient", "Observation?foo=1")
    assert lenient.exit_code == 0
    assert json.loads(lenient.stdout)["link"][0]["url"] == "Observation"
    assert folder.query("SELECT sum(indexed), sum(refused) FROM fhir.search_index") == [(2, 0)]


def test_parameters_of_the_deployment_are_indexed_and_searched_by(tmp_path, monkeypatch):
    definition = {
        "resourceType": "SearchParameter",
        "url": "http://own/eye-colour",
        "code": "eye-colour",
        "type": "token",
        "base": ["Patient"],
        "expression": "Patient.extension('http://own/eyes').value",
    }
    (tmp_path / "own.json").write_text(json.dumps(definition))
    eyes = [{"url": "http://own/eyes", "valueCode": "green"}]
    layout = Layout.of(tmp_path / "data")
    with own_parameters_in(monkeypatch, tmp_path / "own.json"):
        index(layout, [[json.dumps(PATIENT | {"extension": eyes}).encode()]])
        write_generation(layout, Generation(read_generation(layout).runs, own_parameters().digest))
        assert ids(layout, "Patient?eye-colour=green") == ["p"]
        assert ids(layout, "Patient?eye-colour=blue,brown") == []
    with own_parameters_in(monkeypatch, ""):
        with pytest.raises(NoIndexError, match="other HC_SEARCH_PARAMETERS"):
            ids(layout, "Patient")
        with pytest.raises(SearchError, match="no search parameter 'eye-colour'"):
            ids(layout, "Patient?eye-colour=green")
    (tmp_path / "own.json").write_text(json.dumps(definition | {"expression": "nope("}))
    with (
        own_parameters_in(monkeypatch, tmp_path / "own.json"),
        pytest.raises(OwnParametersError, match="http://own/eye-colour: expression"),
    ):
        own_parameters()


@contextmanager
def own_parameters_in(monkeypatch: pytest.MonkeyPatch, path: object) -> Iterator[None]:
    """A process in which the variable names a path."""
    caches = (own_parameters, known_index, searchable, _referring)
    for each in caches:
        each.cache_clear()
    with monkeypatch.context() as patch:
        patch.setenv("HC_SEARCH_PARAMETERS", str(path))
        yield
    for each in caches:
        each.cache_clear()
