"""A lake with arrays, metrics and an index of frames that a test describes, without any image."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from upath import UPath

from hc_assets.domains import CATALOG
from hc_assets.imaging.schemas.index import DICOM_INDEX, preprocessed_arrays
from hc_assets.imaging.schemas.quality import QUALITY_METRICS
from hc_assets.imaging.training.export import export_training_set
from hc_assets.imaging.training.selection import Selection
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter, commit
from hc_assets.lake.warehouse import Warehouse

_TABLES = (
    "imaging/dicom_index",
    "imaging/quality_metrics",
    "imaging/preprocessed_arrays",
    "imaging/training_set",
)


@dataclass
class Scan:
    """A frame as a test describes it; what it leaves out is made up, the pixels from `seed`."""

    patient: str | None
    seed: int = 0
    study: str | None = None
    quality: float = 0.9
    modality: str = "CT"
    pipeline: str = "ct/1"
    shape: tuple[int, int] = (8, 6)
    frame: int = 0
    body_part: str | None = "HEAD"
    sop: str | None = None
    dtype: str = "float32"
    more: dict[str, Any] = field(default_factory=dict)

    def pixels(self) -> np.ndarray:
        """Its array, 0 to 1."""
        return np.random.default_rng(self.seed).random(self.shape, np.float32).astype(self.dtype)


def _row(schema: pa.Schema, known: dict[str, Any]) -> dict[str, Any]:
    blank = {pa.string(): "", pa.bool_(): False}
    return {
        field_.name: known.get(
            field_.name,
            None
            if field_.nullable
            else ([] if pa.types.is_list(field_.type) else blank.get(field_.type, 0)),
        )
        for field_ in schema
    }


class Lake:
    """Batches of scans in a data folder, and a warehouse over them."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout.of(folder)
        self.warehouse = Warehouse(self.layout, {name: CATALOG.parquet[name] for name in _TABLES})

    def put(self, batch: str, *scans: Scan) -> None:
        """Commit the rows of some scans as a batch."""
        index, metrics = [], []
        arrays: dict[tuple[Any, ...], list[tuple[dict[str, Any], np.ndarray]]] = {}
        for number, scan in enumerate(scans):
            pixels = scan.pixels()
            known = {
                "batch": batch,
                "source_file": f"{number}.dcm",
                "file_sha256": hashlib.sha256(f"{batch} {number}".encode()).hexdigest(),
                "sop_instance_uid": scan.sop or f"1.2.{batch}.{number}",
                "series_instance_uid": "1.2",
                "study_instance_uid": scan.study or f"1.3.{batch}.{number}",
                "patient_id": scan.patient,
                "modality": scan.modality,
                "body_part": scan.body_part,
                "frame": scan.frame,
                "overall_quality": scan.quality,
                "pipeline": scan.pipeline,
                "shape": list(scan.shape),
                "source_to_array": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                "content_sha256": hashlib.sha256(pixels).hexdigest(),
                **scan.more,
            }
            if all(row["source_file"] != known["source_file"] for row in index):
                index.append(_row(DICOM_INDEX, known))
            metrics.append(_row(QUALITY_METRICS, known))
            schema = preprocessed_arrays(scan.shape, scan.dtype)
            rest = schema.remove(schema.get_field_index("pixels"))
            arrays.setdefault((scan.shape, scan.dtype), []).append((_row(rest, known), pixels))
        self._commit("imaging/dicom_index", batch, [pa.RecordBatch.from_pylist(index, DICOM_INDEX)])
        self._commit(
            "imaging/quality_metrics",
            batch,
            [pa.RecordBatch.from_pylist(metrics, QUALITY_METRICS)],
        )
        self._commit(
            "imaging/preprocessed_arrays",
            batch,
            [_tensors(*kind, made) for kind, made in arrays.items()],
        )

    def _commit(self, table: str, batch: str, rows: list[pa.RecordBatch]) -> None:
        parts = []
        for number, each in enumerate(rows):
            folder = self.layout.partition(table, batch)
            with PartWriter(folder, each.schema, number=number) as writer:
                writer.write(each)
            parts += writer.parts
        commit(self.layout, table, batch, parts)

    def reader(self) -> Any:
        """A connection to the warehouse, as a context."""
        self.warehouse.ensure()
        return self.warehouse.read()


def _tensors(
    shape: tuple[int, int], dtype: str, made: list[tuple[dict[str, Any], np.ndarray]]
) -> pa.RecordBatch:
    schema = preprocessed_arrays(shape, dtype)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack([pixels for _, pixels in made]))
    columns = [
        tensors
        if field_.name == "pixels"
        else pa.array([row[field_.name] for row, _ in made], field_.type)
        for field_ in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@pytest.fixture(scope="session")
def scan() -> type[Scan]:
    """`Scan`, to describe frames with."""
    return Scan


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(tmp_path / "data")


@pytest.fixture
def connected(lake: Lake) -> Iterator[Callable[[], duckdb.DuckDBPyConnection]]:
    """Open the warehouse for the rest of the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(lake.reader())


@pytest.fixture
def asked() -> Callable[..., Selection]:
    """A selection with a salt of its own."""
    return lambda **choices: Selection(salt="a salt", **choices)


@pytest.fixture
def written(lake: Lake, asked: Callable[..., Selection], tmp_path: Path) -> Callable[..., Path]:
    """Put scans into a lake, export them, and give the folder of the export."""

    def write(*scans: Scan, shard_bytes: int = 500, **choices: Any) -> Path:
        lake.put("b", *scans)
        lake.warehouse.ensure()
        folder = tmp_path / "set"
        choices.setdefault("splits", {"train": 1.0})
        export_training_set(
            lake.warehouse, UPath(folder), asked(**choices), workers=1, shard_bytes=shard_bytes
        )
        return folder

    return write
