"""Files are landed under the source that was named, or whose folder they lie in."""

import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from upath import UPath

from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.lake.discovery import AnyPath, discover
from hc_assets.lake.landing import (
    BatchLimits,
    ContradictingSourceError,
    LandingResult,
    land,
)
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import Manifest, batch_keys, read_manifest
from hc_assets.lake.watching import look

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
LIMITS = BatchLimits(files=100, size=10**9)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path / "data")


@pytest.fixture
def folder(layout: Layout) -> Path:
    made = Path(layout.landing("fhir").path)
    made.mkdir(parents=True)
    return made


def put(path: Path, content: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def land_all(layout: Layout, *paths: AnyPath, source: str = "") -> LandingResult:
    found = discover(paths, layout.landing("fhir"))
    return land(found, layout, FHIR_FILES, limits=LIMITS, now=NOON, source=source)


def manifests(layout: Layout) -> list[Manifest]:
    return [read_manifest(layout, "fhir", key) for key in batch_keys(layout, "fhir")]


def landed(layout: Layout) -> list[tuple[str, list[str]]]:
    return [(m.source, [f.source_file for f in m.files]) for m in manifests(layout)]


def test_a_batch_is_of_one_source_by_the_folder_below_the_landing_folder(layout, folder):
    for number, name in enumerate(("@north/a", "@north/deep/b", "@south/c", "d", "deep/@x/e")):
        put(folder / f"{name}.json", f'{{"n":{number}}}')
    land_all(layout, folder)
    assert landed(layout) == [
        ("north", ["@north/a.json", "@north/deep/b.json"]),
        ("south", ["@south/c.json"]),
        ("", ["d.json", "deep/@x/e.json"]),
    ]


def test_a_folder_may_stand_for_a_server_and_an_export_is_read_back_by_its_folders(layout, folder):
    export = folder.parent / "export"
    put(export / "@https~3A~2F~2Fnorth.example~2Ffhir" / "Patient.ndjson", "1")
    put(export / "@south" / "Patient.ndjson", "2")
    put(export / "Patient.ndjson", "3")
    land_all(layout, export)
    assert [source for source, _ in landed(layout)] == ["https://north.example/fhir", "south", ""]


def test_the_same_bytes_of_two_sources_are_landed_for_each_and_once(layout, folder):
    for source in ("north", "south", "", "north"):
        land_all(layout, put(folder.parent / "a.json"), source=source)
    assert [source for source, _ in landed(layout)] == ["north", "south", ""]
    assert len({manifest.content_sha256 for manifest in manifests(layout)}) == 3


def test_a_file_in_the_folder_of_another_source_is_refused(layout, folder):
    put(folder / "@north" / "a.json")
    with pytest.raises(ContradictingSourceError):
        land_all(layout, folder, source="south")
    land_all(layout, folder, source="north")
    assert [source for source, _ in landed(layout)] == ["north"]


def test_a_folder_whose_name_is_none_of_a_source_is_listed_with_the_reason(layout, folder):
    put(folder / "@a b" / "a.json")
    put(folder / "@north" / "b.json")
    land_all(layout, folder)
    (bad, *_), (good, *_) = (manifest.files for manifest in manifests(layout))
    assert bad.problem == "lies in a folder whose name is that of no source"
    assert (good.source_file, good.problem) == ("@north/b.json", "")


def test_folders_in_an_archive_count_as_if_they_lay_in_a_folder(layout, folder):
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for name in ("@north/a.json", "@bad name/b.json", "@south/a.json", "c.json"):
            archive.writestr(name, "{}")
    land_all(layout, folder)
    assert landed(layout) == [
        ("north", ["all.zip/@north/a.json"]),
        ("", ["all.zip/@bad name/b.json"]),
        ("south", ["all.zip/@south/a.json"]),
        ("", ["all.zip/c.json"]),
    ]


def test_kinds_without_sources_know_no_such_folders(layout, folder):
    put(folder / "@north" / "a.json")
    found = discover([folder], layout.landing("fhir"))
    kind = replace(FHIR_FILES, has_sources=False)
    land(found, layout, kind, limits=LIMITS, now=NOON)
    assert [source for source, _ in landed(layout)] == [""]


def test_a_look_at_the_landing_folder_lands_files_under_their_sources(layout, folder):
    put(folder / "@north" / "a.json")
    put(folder / "b.json", "[]")
    result = look(
        folder,
        layout,
        FHIR_FILES,
        limits=LIMITS,
        settle_seconds=-1,
        landing_seconds=60,
        now=datetime.now(UTC),
    )
    assert (result.landed, [source for source, _ in landed(layout)]) == (2, ["north", ""])


def test_objects_in_a_store_lie_in_folders_of_sources_too(layout):
    stored = UPath("memory://sources-of-objects/drop")
    for name in ("@north/a.json", "b.json"):
        (stored / name).parent.mkdir(parents=True, exist_ok=True)
        (stored / name).write_bytes(name.encode())
    land_all(layout, stored)
    assert [source for source, _ in landed(layout)] == ["north", ""]
    stored.fs.rm(stored.path, recursive=True)
