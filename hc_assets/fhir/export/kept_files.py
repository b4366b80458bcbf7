"""Which files the FHIR exports keep, with their hashes, so that damage to them is found.

Belongs here: noting them in the commit of `fhir/ndjson_exports`, and reading that again. The files
are written by `exports.py` and, those beside an export, by `fhir/operations/companions.py`.
"""

from collections.abc import Iterator, Mapping

from hc_assets.fhir.export.ndjson import MANIFEST_NAME, snapshot_name
from hc_assets.lake.hashes import sha256_of
from hc_assets.lake.integrity import Export
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import read_partition

TABLE = "fhir/ndjson_exports"
_FOLDER = "fhir"
_NOTED = "file "


def noted(layout: Layout, companions: Mapping[str, list[str]]) -> dict[str, str]:
    """Hash the files that no row of the table speaks of, for its commit.

    Args:
        layout: where they are.
        companions: names of the files beside the export, by their folder.
    """
    files = {_FOLDER: [MANIFEST_NAME], **companions}
    return {
        f"{_NOTED}{folder}/{name}": sha256_of(layout.exports(folder) / name)
        for folder, names in files.items()
        for name in names
    }


def exports(layout: Layout) -> Iterator[Export]:
    """Return the files that the last export wrote, by folder.

    Snapshots of the export before are not among them: they stay for whoever still follows it.

    Raises:
        DamagedLakeError: a commit or a part that says so is damaged.
    """
    made = read_commit(layout.partition(TABLE, None))
    if made is None:
        return
    files: dict[str, dict[str, str]] = {_FOLDER: {}}
    for rows in read_partition(layout, TABLE, None).batches(["file", "sha256"]):
        for row in rows.to_pylist():
            for name in (row["file"], snapshot_name(row["file"], row["sha256"])):
                files[_FOLDER][name] = row["sha256"]
    for name, sha256 in made.inputs.items():
        if name.startswith(_NOTED):
            folder, _, file = name.removeprefix(_NOTED).partition("/")
            files.setdefault(folder, {})[file] = sha256
    for folder, named in files.items():
        yield Export(folder, TABLE, named)
