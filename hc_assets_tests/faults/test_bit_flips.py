"""Single bits, flipped at random in files of every kind: whatever reads the file refuses it.

`make faults` flips 400 in FHIR's files and 400 in those of DICOM.
"""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hc_assets.cli.damage import find_damage
from hc_assets.core.domain import resolve
from hc_assets.core.errors import DamagedLakeError
from hc_assets.domains import CATALOG, DOMAINS
from hc_assets.lake import hashes
from hc_assets.lake.integrity import damaged_exports, damaged_landed, damaged_tables
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest, verified_file
from hc_assets.lake.tables import read_partition, read_partitions
from hc_assets_tests.faults.conftest import SEED, Fed, copied

KINDS = {
    "part": "lake/*/*/*/part-*",
    "commit": "lake/*/*/*/_commit.json",
    "manifest": "batches/*/*/manifest.json",
    "landed file": "batches/*/*/files/*",
    "export": "exports/**/*",
}
# Of a training set whose manifest can't be read, nothing else is known
LISTED = re.compile(r"exports/(fhir|fhir_provenance|fhir_definitions|nifti|training_set)/")


def is_listed(path: Path) -> bool:
    """Whether a file holds anything, and is not of the export before the last one."""
    if ".snapshots" in path.parts:
        folder = path.parents[len(path.parts) - path.parts.index(".snapshots") - 1]
        return path.name in (folder / "manifest.json").read_text()
    return path.stat().st_size > 0


@pytest.fixture
def flipped(tmp_path: Path) -> Callable[[Path], Iterator[tuple[str, Path]]]:
    """Flip a bit at random in a file of each kind in turn; each is put back for the next."""

    def flips(data_dir: Path) -> Iterator[tuple[str, Path]]:
        chosen = random.Random(f"{SEED} {data_dir.name}")  # noqa: S311
        files = {
            kind: sorted(p for p in data_dir.glob(pattern) if p.is_file() and is_listed(p))
            for kind, pattern in KINDS.items()
        }
        while True:
            for kind, paths in files.items():
                path = chosen.choice([p for p in paths if not p.name.startswith(".")])
                data = path.read_bytes()
                at = chosen.randrange(len(data) * 8)
                changed = bytearray(data)
                changed[at // 8] ^= 1 << at % 8
                path.write_bytes(changed)
                # As a process that was started now
                hashes._remembered.cache_clear()
                yield kind, path
                path.write_bytes(data)

    return flips


def read(layout: Layout, kind: str, path: Path) -> None:
    """Read a file as the steps of a run do."""
    table, partition = f"{path.parts[-4]}/{path.parts[-3]}", path.parts[-2]
    if kind in ("part", "commit"):
        if partition == "_schema":
            read_partitions(layout, table).schema()
        elif partition == "all":
            for _ in read_partition(layout, table, None).batches():
                pass
        else:
            read_partitions(layout, table).of(partition.removeprefix("batch=")).parts()
    elif kind == "manifest":
        read_manifest(layout, path.parts[-3], path.parts[-2])
    else:
        of_kind, batch = path.parts[-4], path.parts[-3]
        files = read_manifest(layout, of_kind, batch).files
        for file in (each for each in files if each.stored == path.name):
            verified_file(layout, of_kind, batch, file)


def named(layout: Layout) -> list[Path]:
    """What `lake verify` names, but for DuckDB's tables, which depend on none of these files."""
    found = [*damaged_landed(layout, {})]
    found += damaged_tables(layout, CATALOG.parquet)
    for domain in DOMAINS:
        try:
            found += damaged_exports(layout, resolve(domain.exports)(layout))
        except DamagedLakeError:
            assert found  # it is what was found already
    return [Path(each.path) for each in found]


def hold(data_dir: Path, flips: Iterator[tuple[str, Path]], count: int) -> set[str]:
    """Flip so many bits; each must be refused, and its file named, by reading and by verifying."""
    layout, kinds = Layout.of(data_dir), set()
    for _ in range(count):
        kind, path = next(flips)
        kinds.add(kind)
        assert path in named(layout), path
        if kind == "export":
            continue
        with pytest.raises(DamagedLakeError) as refused:
            read(layout, kind, path)
        # Of the manifest of another batch, say
        where = path.parent.name if kind in ("commit", "manifest") else path.name
        assert where in str(refused.value), path
    next(flips)  # which puts the last one back, and flips another
    return kinds


@pytest.mark.parametrize(
    "count", [40, pytest.param(400, marks=pytest.mark.exhaustive)], ids=["some", "400"]
)
def test_a_flipped_bit_is_refused_and_its_file_named(fed: Fed, tmp_path: Path, flipped, count):
    data_dir = copied(fed.both, tmp_path / "data")
    assert named(Layout.of(data_dir)) == []
    assert hold(data_dir, flipped(data_dir), count) == KINDS.keys()


@pytest.mark.exhaustive
def test_a_flipped_bit_in_what_is_made_of_dicom_is_refused(fed_dicom: Fed, tmp_path: Path, flipped):
    data_dir = copied(fed_dicom.both, tmp_path / "data")
    assert named(Layout.of(data_dir)) == []
    assert hold(data_dir, flipped(data_dir), 400) == KINDS.keys()


def test_nothing_is_damaged_after_two_deliveries(fed: Fed, tmp_path: Path):
    assert find_damage(Layout.of(copied(fed.both, tmp_path / "data"))) == []
    assert all(
        LISTED.search(str(path)) for path in fed.both.glob(KINDS["export"]) if path.is_file()
    )
