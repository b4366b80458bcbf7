"""Arrays are rebuilt only where frames, parameters or libraries changed."""

import base64
import hashlib
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import structs

from hc_assets.imaging import assets
from hc_assets.imaging.domain import DICOM_FILES
from hc_assets.imaging.preprocessing import planning, recipe, registry
from hc_assets.imaging.preprocessing.parameters import (
    CtParameters,
    MrParameters,
    Preprocessing,
)
from hc_assets.imaging.preprocessing.planning import ARRAYS, ARRAYS_VERSION, plan_arrays
from hc_assets.imaging.preprocessing.workers import write_arrays
from hc_assets.lake.discovery import discover
from hc_assets.lake.landing import BatchLimits, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile, read_manifest
from hc_assets.lake.parts import PartWriter, commit
from hc_assets.lake.tables import read_partition
from hc_assets.settings import Settings

FILES = ("CT_small.dcm", "MR_small.dcm")
SMALL = Preprocessing(
    ct=CtParameters(rows=64, columns=64),
    mr=MrParameters(rows=64, columns=64, bias="homomorphic"),
)
MODALITY = {"CT_small.dcm": "CT", "MR_small.dcm": "MR", "other.dcm": "MR"}


class Batch:
    """A landed batch whose arrays are made again and again."""

    def __init__(self, layout: Layout, key: str) -> None:
        self.layout, self.key = layout, key

    def score(self, passing: tuple[str, ...]) -> None:
        """Write quality metrics by which some files pass."""
        names = [file.source_file for file in read_manifest(self.layout, "dicom", self.key).files]
        table = pa.table(
            {
                "source_file": names,
                "frame": pa.array([0] * len(names), pa.int32()),
                "modality": [MODALITY[name.rpartition("/")[2]] for name in names],
                "passes_gate": [name.rpartition("/")[2] in passing for name in names],
            }
        )
        folder = self.layout.partition("imaging/quality_metrics", self.key)
        with PartWriter(folder, table.schema) as writer:
            for rows in table.to_batches():
                writer.write(rows)
        commit(self.layout, "imaging/quality_metrics", self.key, writer.parts)

    def make(
        self, preprocessing: Preprocessing = SMALL, other_content: str = ""
    ) -> tuple[int, list[str]]:
        """Make what is missing; give how many arrays were made, and the names of all parts.

        Files of the name `other_content` are taken to be of other bytes than they were.
        """
        metrics = read_partition(self.layout, "imaging/quality_metrics", self.key)
        landed = [
            self._with_another_preamble(file)
            if other_content and file.source_file.endswith(other_content)
            else file
            for file in read_manifest(self.layout, "dicom", self.key).files
        ]
        plan = plan_arrays(
            self.layout, self.key, landed, metrics, preprocessing=preprocessing, chunk_bytes=10**9
        )
        done = [write_arrays(work, preprocessing) for work in plan.work]
        parts = plan.parts_with(done)
        commit(self.layout, ARRAYS, self.key, parts, code_version=planning.ARRAYS_VERSION)
        made = sum(part.rows for arrays in done for each in arrays.parts.values() for part in each)
        return made, [part.name for part in parts]

    def _with_another_preamble(self, file: LandedFile) -> LandedFile:
        data = self.layout.landed_file("dicom", self.key, file.stored).read_bytes()
        other = b"other" + data[5:]
        sha256 = hashlib.sha256(other).hexdigest()
        self.layout.landed_file("dicom", self.key, sha256).write_bytes(other)
        return structs.replace(file, stored=sha256, sha256=sha256)


@pytest.fixture
def batch(tmp_path, testdata) -> Batch:
    layout = Layout.of(tmp_path / "data")
    drop = tmp_path / "drop"
    drop.mkdir()
    for name in FILES:
        shutil.copy(testdata(name), drop / name)
    landed = land(
        discover([drop], drop),
        layout,
        DICOM_FILES,
        limits=BatchLimits(100, 10**9),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    made = Batch(layout, landed.batches[0])
    made.score(FILES)
    return made


def test_unchanged_arrays_are_not_rebuilt(batch):
    first, names = batch.make()
    assert (first, len(names)) == (2, 2)
    assert batch.make() == (0, names)


@pytest.mark.parametrize(
    ("change", "made"),
    [
        ({"mr": MrParameters(rows=64, columns=64, bias="none")}, 1),
        ({"ct": CtParameters(rows=64, columns=65)}, 1),
        ({"us": {"rows": 99}}, 0),
        ({"aspect": "stretch"}, 2),
        ({"dtype": "float16"}, 2),
    ],
    ids=["of MR", "of CT", "of a recipe without frames", "proportions", "type"],
)
def test_other_parameters_rebuild_only_their_recipe(batch, change, made):
    _, before = batch.make()
    changed = Preprocessing.model_validate(SMALL.model_dump() | change)
    count, after = batch.make(changed)
    assert count == made
    assert len(set(before) & set(after)) == 2 - made


def test_another_version_of_a_library_rebuilds_its_recipes(batch, monkeypatch):
    batch.make()
    real = recipe.version
    monkeypatch.setattr(recipe, "version", lambda name: "99" if name == "SimpleITK" else real(name))
    recipe._versions.cache_clear()
    try:
        assert batch.make()[0] == 1
    finally:
        recipe._versions.cache_clear()


def test_another_version_of_a_recipe_rebuilds_it(batch, monkeypatch):
    batch.make()
    newer = replace(registry.RECIPES["MR"], version=99)
    monkeypatch.setattr(registry, "RECIPES", registry.RECIPES | {"MR": newer})
    registry._configured.cache_clear()
    try:
        assert batch.make()[0] == 1
    finally:
        registry._configured.cache_clear()


def test_other_bytes_of_a_file_rebuild_its_arrays(batch):
    batch.make()
    assert batch.make(other_content="CT_small.dcm")[0] == 1


def test_another_version_of_the_table_rebuilds_all(batch, monkeypatch):
    batch.make()
    monkeypatch.setattr(planning, "ARRAYS_VERSION", ARRAYS_VERSION + "x")
    assert batch.make()[0] == 2


def test_frames_that_pass_no_more_leave_and_move_no_other(batch):
    _, before = batch.make()
    batch.score(FILES[:1])
    count, after = batch.make()
    assert (count, after) == (0, before[:1])
    batch.score(FILES)
    assert batch.make() == (1, before)


def test_a_damaged_part_is_rebuilt(batch):
    _, names = batch.make()
    (batch.layout.partition(ARRAYS, batch.key) / names[0]).write_bytes(b"gone")
    assert batch.make() == (1, names)


def test_half_floats_are_stored_as_such_with_the_hash_of_what_is_stored(batch):
    _, names = batch.make(Preprocessing.model_validate(SMALL.model_dump() | {"dtype": "float16"}))
    for name in names:
        table = pq.read_table(str(batch.layout.partition(ARRAYS, batch.key) / name))
        assert table.schema.field("pixels").type.value_type == pa.float16()
        pixels = table["pixels"].combine_chunks().to_numpy_ndarray()
        assert pixels.dtype == np.float16
        assert 0 <= pixels.min() < pixels.max() <= 1


def test_a_row_records_how_its_array_was_made(batch):
    batch.make()
    rows = read_partition(batch.layout, ARRAYS, batch.key).batches()
    ct, mr = (row for each in rows for row in each.to_pylist())
    assert (ct["pipeline"], mr["pipeline"]) == ("ct/2", "mr/3")
    assert mr["decisions"] == ["Wiener filter", "homomorphic filter", "percentiles"]
    assert '"bias": "homomorphic"' in mr["parameters"]
    assert "SimpleITK" in mr["libraries"]
    assert "SimpleITK" not in ct["libraries"]
    assert len(ct["array_to_patient"]) == 9
    assert ct["overlay"] is None


def test_the_asset_reports_what_it_kept_and_shows_before_and_after(batch):
    settings = Settings(data_dir=batch.layout.data_dir, preprocessing=SMALL, workers=1)
    metrics = read_partition(batch.layout, "imaging/quality_metrics", batch.key)

    def materialize() -> dict[str, object]:
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_asset_context(partition_key=batch.key, instance=instance) as context,
        ):
            instance.add_dynamic_partitions("dicom_batches", [batch.key])
            outputs = assets.preprocessed_and_failed_arrays(
                context, metrics=metrics, settings=settings, layout=batch.layout
            )
            contents = {output.output_name: output.value for output in outputs}
            metadata = dict(context.get_output_metadata("preprocessed_arrays"))
        assert contents["failed_arrays"][batch.key].rows == []
        made = contents["preprocessed_arrays"][batch.key]
        commit(
            batch.layout,
            ARRAYS,
            batch.key,
            made.rows,
            inputs=made.inputs,
            code_version=ARRAYS_VERSION,
        )
        return metadata

    metadata = materialize()
    assert (metadata["rebuilt"], metadata["kept"]) == (2, 0)
    # MR_small says that it is secondary, so nobody knows what was written into it
    assert [name for name in metadata if name.startswith("before")] == ["before_and_after_ct"]
    text = metadata["before_and_after_ct"].value
    encoded = re.fullmatch(r"!\[ct: .*\]\(data:image/png;base64,(.*)\)", text).group(1)
    picture = base64.b64decode(encoded)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 64 * 1024
    again = materialize()
    assert (again["rebuilt"], again["kept"]) == (0, 2)
