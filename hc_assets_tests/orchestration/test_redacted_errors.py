"""What a library says of its failure stays out of Dagster's record; where it failed does not."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from hc_assets.core.compute import executor, in_order
from hc_assets.core.redaction import ForeignError, redacted, with_redacted_errors
from hc_assets.definitions import build_defs
from hc_assets.fhir.times import first_and_last_day
from hc_assets.lake.parts import DamagedPartError
from hc_assets.lake.warehouse import WarehouseBusyError
from hc_assets.orchestration.specs import RetryTransient, with_redacted_texts
from hc_assets.settings import Settings

NAME = "Quvzixbrandt"


def arrow() -> None:
    pa.array([NAME]).cast(pa.int64())


def chained() -> None:
    try:
        raise KeyError(NAME)
    except KeyError as error:
        raise DamagedPartError("a part is damaged") from error


def in_passing() -> None:
    try:
        raise KeyError(NAME)
    except KeyError:
        raise DamagedPartError("a part is damaged")  # noqa: B904 - so that Python adds it


def recorded(body: Callable[[], Any]) -> str:
    """All that Dagster keeps of a step that fails."""

    @dg.asset
    def made() -> None:
        body()

    with dg.DagsterInstance.ephemeral() as instance:
        outcome = dg.materialize(
            [with_redacted_texts(made)], instance=instance, raise_on_error=False
        )
        assert not outcome.success
        return "\n".join(dg.serialize_value(entry) for entry in instance.all_logs(outcome.run_id))


@pytest.mark.parametrize("body", [arrow, chained, in_passing])
def test_what_a_library_quotes_is_not_recorded(body):
    record = recorded(body)
    assert NAME[:6] not in record
    assert ("ArrowInvalid at no place of ours" in record) == (body is arrow)
    assert ("a part is damaged" in record) == (body is not arrow)


def test_where_it_failed_is_recorded():
    record = recorded(lambda: first_and_last_day(NAME))
    assert NAME[:6] not in record
    assert "ValueError at times.py:" in record


def test_of_a_worker_process_too():
    def shared() -> None:
        list(in_order(executor(2, 2), first_and_last_day, [NAME, NAME]))

    record = recorded(shared)
    assert NAME[:6] not in record  # a library may quote the beginning alone
    assert "ValueError at compute.py:" in record
    assert re.search(r"in a worker process: compute\.py:\d+ > times\.py:", record)
    assert "_RemoteTraceback" not in record


def test_what_yields_is_redacted_too():
    def yielding(count: int) -> Iterator[int]:
        yield count
        raise KeyError(NAME)

    made = with_redacted_errors(yielding)(3)
    assert next(made) == 3
    with pytest.raises(ForeignError, match="KeyError at no place of ours") as caught:
        next(made)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_what_passes_by_itself_is_still_tried_again():
    tried = []

    @dg.asset(retry_policy=RetryTransient(max_retries=3, delay=0))
    def made() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError(NAME) from TimeoutError()
        if len(tried) == 2:
            raise WarehouseBusyError("busy")

    assert dg.materialize([with_redacted_texts(made)]).success
    assert len(tried) == 3


@pytest.mark.parametrize(
    "error", [OSError(2, "gone", "part-1"), DamagedPartError("x"), dg.Failure("x")]
)
def test_texts_of_ours_stay(error):
    assert redacted(error) is error


@pytest.mark.parametrize("texts", [True, False])
def test_every_asset_and_check_is_redacted_unless_the_settings_say_no(data_dir, texts):
    definitions = build_defs(Settings(error_texts=texts))
    assets = [each for each in definitions.assets if isinstance(each, dg.AssetsDefinition)]
    steps: list[Any] = [each.op.compute_fn for each in [*assets, *definitions.asset_checks]]
    assert len(steps) > 10
    are_redacted = [hasattr(step.decorated_fn, "__wrapped__") for step in steps]
    assert all(are_redacted) if not texts else not any(are_redacted)
