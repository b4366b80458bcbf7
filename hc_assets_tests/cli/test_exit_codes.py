import subprocess
import sys

import pytest
import typer

from hc_assets.cli.exit_codes import EXIT_CODES, errors_become_exit_codes
from hc_assets.core.errors import DamagedLakeError, HcAssetsError
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


def test_a_wrong_cron_expression_is_exit_code_4(hc_assets, monkeypatch):
    monkeypatch.setenv("HC_REPORT_CRON", "never")
    result = hc_assets("report")
    assert result.exit_code == 4
    assert "never" in result.stderr
