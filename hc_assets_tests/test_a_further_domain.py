"""A domain more is its folder and a line in `domains.py`: all else of the house follows from it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import hc_assets

EXAMPLE = Path(__file__).with_name("example_domain")

# One process answers all that is asked of the house, since starting one takes seconds.
ANSWERING = """
import contextlib, io, json, sys, traceback
from typer.testing import CliRunner
from hc_assets.cli.main import app

for line in sys.stdin:
    request = json.loads(line)
    if request["code"] is None:
        done = CliRunner().invoke(app, request["arguments"], catch_exceptions=False)
        code, out, err = done.exit_code, done.stdout, done.stderr
    else:
        code, printed, errors = 0, io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
            try:
                exec(request["code"], {})
            except SystemExit as end:
                code = end.code
            except Exception:
                code = 1
                traceback.print_exc()
        out, err = printed.getvalue(), errors.getvalue()
    print(json.dumps({"exit_code": code, "stdout": out, "stderr": err}), flush=True)
"""


@dataclass(frozen=True)
class Answer:
    """What a command or a piece of code came to."""

    exit_code: int
    stdout: str
    stderr: str


Run = Callable[..., Answer]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run Python on a copy of the package that has the domain as well, on a folder of its own."""
    house = tmp_path_factory.mktemp("house")
    data = tmp_path_factory.mktemp("data")
    package = house / "hc_assets"
    shutil.copytree(
        Path(hc_assets.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(EXAMPLE, package / "example")
    listed = package / "domains.py"
    listed.write_text(
        listed.read_text().replace('    "imaging",\n', '    "imaging",\n    "example",\n')
    )
    environment = os.environ | {
        "PYTHONPATH": str(house),
        "HC_DATA_DIR": str(data),
        "DAGSTER_HOME": "",
        "HC_EXAMPLE_LINES": "3",
    }

    with subprocess.Popen(
        [sys.executable, "-c", ANSWERING],
        cwd=house,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def run(*arguments: object, code: str | None = None, expected: int = 0) -> Answer:
            request = {"arguments": [str(each) for each in arguments], "code": code}
            print(json.dumps(request), file=requests, flush=True)
            answer = Answer(**json.loads(answers.readline()))
            assert answer.exit_code == expected, answer.stderr
            return answer

        yield run
        requests.close()


@pytest.fixture(scope="module")
def key(run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Key of a batch of one note of two lines, which its check wants three of."""
    folder = tmp_path_factory.mktemp("notes")
    (folder / "a.note").write_text("NOTE one\nand two\n")
    done = run("ingest", folder)
    assert done.stdout.splitlines()[-1] == "example/lines\t2"
    return run("land", folder / "a.note").stdout.strip() or _only_batch(run)


def _only_batch(run: Run) -> str:
    code = (
        "from hc_assets.settings import Settings; from hc_assets.lake.layout import Layout;"
        "from hc_assets.lake.manifests import batch_keys;"
        "print(*batch_keys(Layout.configured(Settings()), 'notes'))"
    )
    return run(code=code).stdout.strip()


def test_it_is_landed_by_its_content_and_materialized(run, key):
    assert run("count-lines").stdout.strip() == "2"
    assert key.count("-") == 1


def test_it_has_partitions_jobs_and_a_sensor(run, key):
    code = (
        "import json; from dagster import AssetKey; from hc_assets.definitions import defs;"
        "node = defs.resolve_asset_graph().get(AssetKey(['example', 'lines']));"
        "print(json.dumps([node.partitions_def.name, node.group_name, node.code_version,"
        " sorted(j.name for j in defs.jobs), sorted(s.name for s in defs.sensors)]))"
    )
    partitions, group, version, jobs, sensors = json.loads(run(code=code).stdout)
    assert (partitions, group, version) == ("notes_batches", "example", "1")
    assert {"ingest_notes", "check_notes_batch"} <= {*jobs}
    assert "publish_notes" not in jobs, "nothing is made of all its batches"
    assert "new_notes_files" in sensors


def test_it_is_checked_against_its_own_setting_and_reported(run, key):
    done = run("report", "--format", "json", expected=1)
    (outcome,) = (
        each for each in json.loads(done.stdout)["checks"] if each["check"] == "batches_have_lines"
    )
    assert (outcome["asset"], outcome["batch"]) == ("example/lines", key)
    assert (outcome["value"], outcome["threshold"]) == (2.0, 3.0)


def test_it_is_in_the_warehouse_and_stays_there_when_that_is_rebuilt(run, key):
    run("warehouse", "rebuild")
    code = (
        "import os, duckdb; w = duckdb.connect(os.environ['HC_DATA_DIR'] + '/warehouse.duckdb');"
        "print(w.sql('SELECT count(*) FROM example.lines').fetchall())"
    )
    assert run(code=code).stdout.strip() == "[(2,)]"


def test_damage_to_it_is_found_and_repaired(run, key):
    code = (
        "import os, pathlib; (part,) = pathlib.Path(os.environ['HC_DATA_DIR']).glob("
        "'lake/example/lines/batch=*/part-*.parquet'); part.write_bytes(b'damaged')"
    )
    run(code=code)
    found = run("lake", "verify", expected=1)
    assert found.stdout.startswith("example/lines/batch=")
    run("lake", "verify", "--repair")
    assert run("count-lines").stdout.strip() == "2"


def test_damage_to_its_landed_files_is_found(run, key):
    code = (
        "import os, pathlib; (path,) = pathlib.Path(os.environ['HC_DATA_DIR']).glob("
        "'batches/notes/*/files/*'); kept = path.read_bytes(); print(path);"
        "path.write_bytes(kept[::-1])"
    )
    path = Path(run(code=code).stdout.strip())
    found = run("lake", "verify", expected=1)
    assert found.stdout.startswith("batches/notes/")
    path.write_bytes(path.read_bytes()[::-1])
    run("lake", "verify")


def test_it_is_in_the_data_dictionary(run, key):
    code = (
        "from hc_assets.reports.data_dictionary import render;"
        "from hc_assets.domains import CATALOG; print(render(CATALOG))"
    )
    text = run(code=code).stdout
    assert "## example.lines" in text
    assert "| `length` | int64 | {characters} | yes | Characters of the line |" in text


def test_a_demo_has_no_need_of_sample_data_of_its_own(run, key):
    code = (
        "import hc_assets.cli.main as cli; from unittest import mock\n"
        "with mock.patch.object(cli, 'resolve', lambda _: lambda folder: 'nothing'):\n"
        "    cli.app(['demo'])"
    )
    done = run(code=code, expected=1)  # for the check that wants three lines
    assert "making sample data" in done.stderr
    assert "batches_have_lines" in done.stdout
