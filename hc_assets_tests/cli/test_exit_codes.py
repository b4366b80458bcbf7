import os
import subprocess
import sys

import pytest
import typer

from hc_assets.cli.exit_codes import EXIT_CODES, errors_become_exit_codes
from hc_assets.core.errors import DamagedLakeError, HcAssetsError
from hc_assets.core.setting_errors import SettingError
from hc_assets.fhir.settings import FhirSettings
from hc_assets.lake.kinds import AmbiguousKindError
from hc_assets.lake.parts import DamagedPartError
from hc_assets.lake.warehouse import WarehouseBusyError
from hc_assets.orchestration.errors import BlockedError, OrchestratorError, RunFailedError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BlockedError("x"), 1),
        (AmbiguousKindError("x"), 2),
        (RunFailedError("x"), 4),
        (OrchestratorError("x"), 4),
        (WarehouseBusyError("x"), 4),
        (DamagedPartError("x"), 4),
        (PermissionError("x"), 4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_errors_class_gives_the_exit_code(error, code):
    with pytest.raises(typer.Exit) as caught, errors_become_exit_codes():
        raise error
    assert caught.value.exit_code == code


def test_a_fault_of_the_code_stays_an_error():
    with pytest.raises(ZeroDivisionError), errors_become_exit_codes():
        raise ZeroDivisionError


def test_advice_is_printed_behind_the_text(capsys):
    with pytest.raises(typer.Exit), errors_become_exit_codes():
        raise DamagedPartError("a part is gone")
    assert capsys.readouterr().err == f"hc-assets: a part is gone; {DamagedLakeError.advice}\n"


def test_every_base_class_has_an_exit_code():
    assert {*HcAssetsError.__subclasses__()} <= {*EXIT_CODES}


def test_exit_codes_need_no_dagster():
    code = "import sys, hc_assets.cli.main; print('dagster' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


WRONG = [
    ("HC_WORKERS", "-1", "found '-1', expected a number greater than or equal to 0"),
    ("HC_QUALITY_GATE", "much", "found 'much', expected a valid number"),
    ("HC_EXPORT_COMPRESSION", "rar", "found 'rar', expected 'none', 'gzip' or 'zstd'"),
    ("HC_LANDING_FOLDERS", "{", "found text that is no JSON, expected JSON: Landing folder"),
    ("HC_LANDING_FOLDERS", '{"fihr": "x"}', "found fihr, expected dicom, fhir"),
    ("HC_QUALITY_SCALES", '{"CT": 3}', "found an object, expected an object of scales"),
    ("HC_PREPROCESSING", '{"aspect": "q"}', "aspect: found 'q', expected 'letterbox'"),
    ("HC_TRAINING_SPLITS", '{"a": 2}', "expected shares of splits that add up to 1, found 2"),
    ("HC_FHIR_RULES_AS_WARNINGS", "dom-66", "no rule 'dom-66'; near it are"),
    ("HC_FHIR_RULES_AS_ERRORS", '["x"]', "no business rule x; there are"),
    ("HC_FHIR_PROFILE_FOR", "x", "found 'x', expected a resource type, = and a URL"),
    ("HC_ALERT_URLS", "hunter2", "found a value that is not printed, expected Apprise URLs"),
]


@pytest.mark.parametrize(("name", "value", "text"), WRONG)
def test_a_wrong_setting_is_one_line_and_exit_code_2(hc_assets, monkeypatch, name, value, text):
    monkeypatch.setenv(name, value)
    result = hc_assets("batches")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"hc-assets: {name}")
    assert text in line
    assert "hunter2" not in line


COMMANDS = [
    ["land", "x"],
    ["ingest", "x"],
    ["demo"],
    ["report"],
    ["validate", "x"],
    ["replay", "x"],
    ["export", "x"],
    ["warehouse", "rebuild"],
    ["lake", "verify"],
    ["batches", "retract", "x"],
    ["receive"],
    ["quality-report"],
    ["training-set", "x"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_so_it_is_whatever_the_command(hc_assets, monkeypatch, command):
    monkeypatch.setenv("HC_WORKERS", "-1")
    result = hc_assets(*command)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_a_secret_in_a_url_is_not_printed():
    with pytest.raises(SettingError) as caught:
        FhirSettings(workers="https://me:hunter2@example.org")
    assert "found 'https://example.org', expected" in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_wrong_cron_expression_ends_what_loads_the_definitions_in_the_same_way():
    code = "import hc_assets.definitions"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HC_REPORT_CRON": "never"},
    )
    expected = "expected a cron expression: minute, hour, day, month, weekday"
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == f"hc-assets: HC_REPORT_CRON: found 'never', {expected}\n"
