"""Batches that Dagster's events say are published, and that the commits say are not."""

import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from hc_assets.definitions import build_defs
from hc_assets.domains import CATALOG
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import commit
from hc_assets.lake.tables import read_partitions
from hc_assets.orchestration.runs import PROCESS_TAG, open_instance, tables_to_compare
from hc_assets.orchestration.waiting import Waiting
from hc_assets.settings import Settings

FHIR = CATALOG.landings["fhir"]


class Looks:
    """Looks of the sensor, between which hours pass."""

    def __init__(self, instance: dg.DagsterInstance, layout: Layout) -> None:
        self.instance, self.layout = instance, layout
        self.definitions = build_defs(Settings(data_dir=layout.data_dir))
        (self.sensor,) = [
            each for each in self.definitions.sensors if each.name == "left_out_fhir_batches"
        ]
        self.cursor: str | None = None

    def look(self) -> dg.SensorResult:
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"layout": self.layout}
        ) as context:
            result = self.sensor(context)
        self.cursor = result.cursor
        return result

    def let_hours_pass(self) -> None:
        year = str(Waiting.of_cursor(self.cursor).first_at.year)
        self.cursor = self.cursor.replace(f'"{year}-', '"2020-')

    def begin(self, job: str, **tags: str) -> dg.DagsterRun:
        definition = self.definitions.resolve_job_def(job)
        status = dg.DagsterRunStatus.STARTED
        return self.instance.create_run_for_job(definition, status=status, tags=tags)


@pytest.fixture
def looks(data_dir: Path) -> Iterator[Looks]:
    layout = Layout.of(data_dir)
    with open_instance(layout) as instance:
        yield Looks(instance, layout)


def finish(layout: Layout, batch: str) -> None:
    for table in FHIR.batch_tables:
        commit(layout, table, batch, [], inputs={"made of": batch})


def publish(layout: Layout) -> None:
    inputs = {
        name: digest
        for table in FHIR.batch_tables
        for name, digest in read_partitions(layout, table).digests().items()
    }
    for table in tables_to_compare(FHIR):
        commit(layout, table, None, [], inputs=inputs)


def test_a_batch_that_stays_left_out_is_published_whatever_dagster_recorded(looks):
    finish(looks.layout, "b1")
    publish(looks.layout)
    assert not looks.look().run_requests
    finish(looks.layout, "b2")
    looks.instance.report_runless_asset_event(dg.AssetMaterialization(["fhir", "ndjson_exports"]))
    assert not looks.look().run_requests  # the usual way has its time
    looks.let_hours_pass()
    (request,) = looks.look().run_requests
    assert looks.sensor.job_name == FHIR.publish_job
    assert request.tags == {"dagster/priority": "1"}
    assert not looks.look().run_requests
    publish(looks.layout)
    assert looks.look().skip_reason.skip_message == "nothing is left out"


def test_nothing_is_asked_for_before_the_first_batch_is_finished(looks):
    commit(looks.layout, FHIR.batch_tables[0], "b1", [])
    assert looks.look().skip_reason.skip_message == "nothing is left out"


def test_a_run_that_publishes_is_waited_for(looks):
    finish(looks.layout, "b1")
    looks.look()
    looks.let_hours_pass()
    run = looks.begin(FHIR.publish_job)
    assert not looks.look().run_requests
    looks.instance.report_run_canceled(run)
    assert looks.look().run_requests


def test_a_run_whose_command_was_killed_is_not_waited_for(looks):
    finish(looks.layout, "b1")
    looks.look()
    looks.let_hours_pass()
    looks.begin(FHIR.publish_job, **{PROCESS_TAG: f"{socket.gethostname()} boot 4194305 1"})
    assert looks.look().run_requests
