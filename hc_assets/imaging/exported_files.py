"""Which files the imaging exports keep, with their hashes, so that damage to them is found.

Belongs here: reading what the tables and the training set's manifest say. The files are written by
`volumes/exports.py` and `training/export.py`.
"""

from collections.abc import Iterator

from hc_assets.imaging.training.manifest import MANIFEST_NAME, ManifestError, read_manifest
from hc_assets.lake.integrity import Export
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import read_partition

_NIFTI, _TRAINING_SET = "imaging/nifti_exports", "imaging/training_set"
# In the commit of the table: hash of the manifest that lists the shards.
MANIFEST_INPUT = f"file {MANIFEST_NAME}"


def exports(layout: Layout) -> Iterator[Export]:
    """Give the files that the last exports wrote.

    Raises:
        DamagedLakeError: a commit or a part that says so is damaged.
    """
    if read_commit(layout.partition(_NIFTI, None)) is not None:
        rows = read_partition(layout, _NIFTI, None).to_table(["file", "file_sha256"]).to_pylist()
        yield Export("nifti", _NIFTI, {row["file"]: row["file_sha256"] for row in rows})
    made = read_commit(layout.partition(_TRAINING_SET, None))
    if made is not None:
        noted = made.inputs.get(MANIFEST_INPUT)
        files = {} if noted is None else {MANIFEST_NAME: noted}
        yield Export("training_set", _TRAINING_SET, files | _shards(layout))


def _shards(layout: Layout) -> dict[str, str]:
    try:
        manifest = read_manifest(layout.exports("training_set"))
    except ManifestError:
        return {}  # the commit has the hash that it should have
    return {
        file.file: file.sha256 for shard in manifest.shards for file in (shard.parquet, shard.arrow)
    }
