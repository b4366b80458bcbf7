import dagster as dg
import pytest

from hc_assets.definitions import build_defs
from hc_assets.lake.warehouse import WarehouseBusyError
from hc_assets.orchestration.specs import RetryTransient, with_retries


def attempts(error: type[Exception], *, where: str) -> tuple[int, bool]:
    """Let a step fail twice in its body or its IO manager; give how often it ran, and the end."""
    tried = []

    def fail(place: str) -> None:
        if place == where:
            tried.append(1)
            if len(tried) < 3:
                raise error("text")

    class Manager(dg.IOManager):
        def handle_output(self, context: dg.OutputContext, obj: object) -> None:
            fail("output")

        def load_input(self, context: dg.InputContext) -> None: ...

    @dg.asset(retry_policy=RetryTransient(max_retries=3, delay=0))
    def made() -> int:
        fail("body")
        return 1

    outcome = dg.materialize(
        [made],
        resources={"io_manager": Manager()},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )
    return len(tried), outcome.success


@pytest.mark.parametrize("where", ["body", "output"])
def test_a_fault_that_passes_is_tried_again(where):
    assert attempts(WarehouseBusyError, where=where) == (3, True)


@pytest.mark.parametrize("where", ["body", "output"])
def test_a_fault_that_stays_is_not(where):
    assert attempts(ValueError, where=where) == (1, False)


def test_the_pauses_grow():
    policy = RetryTransient(max_retries=3, delay=15, backoff=dg.Backoff.EXPONENTIAL)
    assert [policy.calculate_delay(attempt) for attempt in (1, 2, 3)] == [15, 45, 105]


def test_every_asset_and_check_has_the_policy_and_keeps_its_pool(data_dir):
    definitions = build_defs()
    assets = [each for each in definitions.assets if isinstance(each, dg.AssetsDefinition)]
    steps = [each.op for each in [*assets, *definitions.asset_checks]]
    assert len(steps) > 10
    for step in steps:
        assert isinstance(step.retry_policy, RetryTransient), step.name
    assert "warehouse" in {step.pool for step in steps}


def test_a_policy_of_its_own_stays():
    own = dg.RetryPolicy(max_retries=1)

    @dg.asset(retry_policy=own)
    def made() -> None: ...

    assert with_retries(made).op.retry_policy == own
