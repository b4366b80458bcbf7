"""Batches of good, bad and hostile files, one after the other: nothing lost, doubled or stuck, and
nothing changes when they come again.
"""

import random
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import duckdb
import pytest

from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys, read_manifest
from hc_assets_tests.faults.conftest import NOW, SEED, Spawner, differences, kept
from hc_assets_tests.faults.dicom_deliveries import ENVIRONMENT
from hc_assets_tests.faults.random_deliveries import Delivery, write_delivery

NOTHING_BLOCKS = ENVIRONMENT | {
    "HC_QUARANTINE_RATE_THRESHOLD": "1",
    "HC_VALIDATION_RATE_THRESHOLD": "0",
    "HC_IMAGING_STUDIES_TO_FHIR": "false",
    "HC_FHIR_TEXT_BYTES": "1000000",
}


_KEYS = "batch, source_file, position"


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param(5, id="some"),
        pytest.param(200, id="200", marks=pytest.mark.exhaustive),
        pytest.param(2_000, id="2000", marks=pytest.mark.exhaustive),
    ],
)
def test_good_files_come_through_beside_any_others(spawner: Spawner, tmp_path: Path, batches: int):
    chance = random.Random(f"{SEED} deliveries")  # noqa: S311
    data_dir = tmp_path / "data"

    def ingest(kind: str, *deliveries: Delivery) -> None:
        now = datetime.fromisoformat(NOW) + timedelta(minutes=len(delivered))
        code = spawner.ingest(
            data_dir,
            *(each.folder for each in deliveries),
            "--kind",
            kind,
            now=now.isoformat(),
            environment=NOTHING_BLOCKS,
        )
        assert code == 0, (deliveries, spawner.tail())

    delivered: list[Delivery] = []
    for number in range(batches):
        delivery = write_delivery(tmp_path / "deliveries" / str(number), number, chance)
        delivered.append(delivery)
        ingest(delivery.kind, delivery)
    _nothing_is_lost(data_dir, delivered)
    assert spawner.must("command", data_dir, arguments=["lake", "verify"]) == 0, spawner.tail()

    before = kept(data_dir)
    for kind, of_kind in groupby(sorted(delivered, key=_kind), key=_kind):
        ingest(kind, *of_kind)
    assert differences(data_dir, before) == []


def _kind(delivery: Delivery) -> str:
    return delivery.kind


def _nothing_is_lost(data_dir: Path, delivered: list[Delivery]) -> None:
    """Good files came through, and every file and every row is in exactly one place."""
    good = {
        kind: {each for delivery in delivered if delivery.kind == kind for each in delivery.good}
        for kind in ("fhir", "dicom")
    }
    layout = Layout.of(data_dir)
    with duckdb.connect(data_dir / "warehouse.duckdb", read_only=True) as connection:

        def column(sql: str) -> list[str]:
            return [row[0] for row in connection.sql(sql).fetchall()]

        ids = column("SELECT resource_id FROM fhir.current_resources")
        uids = column("SELECT sop_instance_uid FROM imaging.dicom_index")
        rows = {
            "fhir": column("SELECT DISTINCT source_file FROM fhir.raw_bundles"),
            "dicom": column(
                "SELECT source_file FROM imaging.dicom_index"
                " UNION ALL SELECT source_file FROM imaging.unreadable_files"
            ),
        }
        raw = connection.sql(f"SELECT {_KEYS} FROM fhir.raw_bundles").fetchall()  # noqa: S608
        judged = connection.sql(
            f"SELECT {_KEYS} FROM fhir.validated_resources"  # noqa: S608
            f" UNION ALL SELECT {_KEYS} FROM fhir.quarantined_resources"
        ).fetchall()
        scored = column("SELECT sop_instance_uid FROM imaging.quality_metrics")
    assert good["fhir"] <= set(ids)
    assert good["dicom"] <= set(uids)
    assert good["dicom"] <= set(scored)
    for kind, found in rows.items():
        landed = [
            file.source_file
            for key in batch_keys(layout, kind)
            for file in read_manifest(layout, kind, key).files
        ]
        assert sorted(found) == sorted(landed)
    assert sorted(raw) == sorted(judged)
