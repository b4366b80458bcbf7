"""Series for the volume tests: written here with known geometry, or read from real files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.rows import index_files
from hc_assets.imaging.schemas.index import DICOM_INDEX
from hc_assets.imaging.series.instances import Instance, read_series
from hc_assets.imaging.volumes.placing import Gates
from hc_assets.imaging.volumes.rows import volumes_of
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
LIMIT = 2**30


@pytest.fixture
def series(tmp_path: Path) -> Callable[[Sequence[Path]], list[list[Instance]]]:
    """Index rows of the series that some files make, as the lake gives them."""

    def read(paths: Sequence[Path]) -> list[list[Instance]]:
        folder = Layout.of(tmp_path / "lake").partition("imaging/dicom_index", "b")
        with PartWriter(folder, DICOM_INDEX) as writer:
            files = [FileToRead(str(p), p, f"{n:064x}", 1) for n, p in enumerate(paths)]
            for found in index_files(files, "b"):
                writer.write(found.index)
        return list(read_series([str(folder / part.name) for part in writer.parts]))

    return read


@pytest.fixture
def volumes(series) -> Callable[..., list[tuple[dict, np.ndarray | None]]]:
    """Rows of the volumes that some files make, each with its voxels; every frame passes."""

    def make(paths: Sequence[Path], gates: Gates | None = None, limit: int = LIMIT):
        made = []
        for files in series(paths):
            passing = {
                (f["batch"], f["source_file"]): dict.fromkeys(range(f["frames"]), True)
                for f in files
            }
            where = [Path(file["source_file"]) for file in files]
            for each in volumes_of(files, where, gates or passing, limit=limit):
                slices = [row for batch in each.slices for row in batch.to_pylist()]
                assert [row["slice"] for row in slices] == list(range(len(slices)))
                shape = each.row["shape"]
                voxels = (
                    np.array([row["voxels"] for row in slices], np.float32).reshape(shape)
                    if shape
                    else None
                )
                made.append((each.row, voxels))
        return made

    return make


@pytest.fixture
def write_slices(tmp_path, write_dicom) -> Callable[..., list[Path]]:
    """Write an array, slice by slice, as a CT series with given positions, in a jumbled order."""

    def write(
        voxels: np.ndarray,
        positions: Sequence[Sequence[float]],
        orientation: Sequence[float] = AXIAL,
        each: Sequence[dict[str, Any]] = (),
        **attributes: Any,
    ) -> list[Path]:
        start = len(list(tmp_path.glob("*.dcm")))
        paths = []
        for number, (pixels, position) in enumerate(zip(voxels, positions, strict=True)):
            own = {
                "SOPInstanceUID": f"1.2.3.{start + number + 1}",
                "ImagePositionPatient": [f"{value:.6f}" for value in position],
                "ImageOrientationPatient": [f"{value:.9f}" for value in orientation],
                "PixelSpacing": [0.8, 0.5],
                "FrameOfReferenceUID": "1.2.3.9",
            }
            own |= attributes | (each[number] if each else {})
            # Neither names nor instance numbers follow the positions
            name = f"{(start + number) * 7919 % 9973:05d}.dcm"
            paths.append(write_dicom(pixels, name, **own))
        return sorted(paths)

    return write


@pytest.fixture
def blob() -> np.ndarray:
    """A smooth object off centre, 12 slices of 24 by 20, int16."""
    z, y, x = np.mgrid[0:12, 0:24, 0:20].astype(float)
    distance = ((z - 5) / 4) ** 2 + ((y - 10) / 7) ** 2 + ((x - 11) / 5) ** 2
    return (1000 * np.exp(-distance)).astype(np.int16)
