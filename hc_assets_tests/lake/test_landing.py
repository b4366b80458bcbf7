import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.domains import CATALOG
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.lake import landing
from hc_assets.lake.discovery import discover
from hc_assets.lake.kinds import AmbiguousKindError, guess_kind
from hc_assets.lake.landing import BatchLimits, LandingResult, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys, read_manifest

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
LIMITS = BatchLimits(files=100, size=10**9)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path / "data")


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


def land_all(layout: Layout, *paths: Path, limits: BatchLimits = LIMITS) -> LandingResult:
    found = discover(paths, Path(layout.landing("fhir").path))
    return land(found, layout, FHIR_FILES, limits=limits, now=NOON)


def test_a_batch_is_named_by_time_and_content_and_lists_every_file(layout, drop):
    (drop / "a.json").write_bytes(b"{}")
    (drop / "b").mkdir()
    (drop / "b" / "c.ndjson").write_bytes(b"{}\n{}\n")

    result = land_all(layout, drop)

    (key,) = result.batches
    manifest = read_manifest(layout, "fhir", key)
    assert key == f"20260102T120000Z-{manifest.content_sha256[:8]}"
    assert [f.source_file for f in manifest.files] == [
        str(drop / "a.json"),
        str(drop / "b" / "c.ndjson"),
    ]
    assert [f.media_type for f in manifest.files] == [
        "application/fhir+json",
        "application/fhir+ndjson",
    ]
    for file in manifest.files:
        assert layout.landed_file("fhir", key, file.stored).stat().st_size == file.size


def test_files_in_the_landing_folder_are_named_relative_to_it(layout):
    folder = Path(layout.landing("fhir").path)
    folder.mkdir(parents=True)
    (folder / "x.json").write_bytes(b"{}")

    (key,) = land_all(layout, folder).batches

    assert [f.source_file for f in read_manifest(layout, "fhir", key).files] == ["x.json"]


def test_a_path_with_two_dots_is_named_without_them(layout, drop):
    (drop / "a.json").write_bytes(b"{}")
    (key,) = land_all(layout, drop / ".." / drop.name).batches
    (file,) = read_manifest(layout, "fhir", key).files
    assert file.source_file == str(drop / "a.json")


def test_stored_names_tell_nothing_of_the_original_name(layout, drop):
    (drop / "Jane_Doe_1970.json").write_bytes(b"{}")
    (key,) = land_all(layout, drop).batches
    stored = [p.name for p in layout.batch("fhir", key).rglob("*")]
    assert not any("Jane" in name for name in stored)


def test_landing_again_lands_nothing_and_names_the_earlier_batch(layout, drop):
    (drop / "a.json").write_bytes(b"{}")
    first = land_all(layout, drop)

    second = land_all(layout, drop)

    assert (second.batches, second.landed, second.already_landed) == ([], 0, 1)
    assert second.known_batches == set(first.batches)
    assert batch_keys(layout, "fhir") == first.batches


def test_a_file_replaced_with_other_content_is_landed_again(layout, drop):
    (drop / "a.json").write_bytes(b"{}")
    land_all(layout, drop)
    (drop / "a.json").write_bytes(b"[]")
    assert land_all(layout, drop).landed == 1


def test_equal_bytes_under_two_names_are_landed_once_and_both_names_are_kept(layout, drop):
    (drop / "a.json").write_bytes(b"{}")
    (drop / "b.json").write_bytes(b"{}")

    (key,) = land_all(layout, drop).batches

    manifest = read_manifest(layout, "fhir", key)
    assert [f.source_file for f in manifest.files] == [str(drop / "a.json")]
    assert [name for name, _ in manifest.duplicates] == [str(drop / "b.json")]


def test_every_empty_file_is_landed_under_its_name_once(layout, drop):
    (drop / "a.json").touch()
    (drop / "b.json").touch()
    assert land_all(layout, drop).landed == 2
    assert land_all(layout, drop).landed == 0


def test_batches_stay_within_their_limits_and_hold_every_file(layout, drop):
    for number in range(7):
        (drop / f"{number}.json").write_bytes(b"x" * (number + 1))

    result = land_all(layout, drop, limits=BatchLimits(files=3, size=12))

    manifests = [read_manifest(layout, "fhir", key) for key in result.batches]
    assert sum(len(m.files) for m in manifests) == 7
    assert all(len(m.files) <= 3 for m in manifests)
    assert all(sum(f.size for f in m.files) <= 12 for m in manifests)


def test_what_cannot_be_taken_is_listed_with_the_reason_once(layout, drop, tmp_path):
    (drop / "good.json").write_bytes(b"{}")
    (drop / "empty folder").mkdir()
    os.mkfifo(drop / "pipe.json")
    (drop / "nowhere.json").symlink_to(tmp_path / "missing")
    (tmp_path / "outside.json").write_bytes(b"[]")
    (drop / "outside.json").symlink_to(tmp_path / "outside.json")

    (key,) = land_all(layout, drop).batches

    files = read_manifest(layout, "fhir", key).files
    problems = {Path(f.source_file).name: f.problem for f in files}
    assert problems == {
        "good.json": "",
        "empty folder": "is a folder with nothing in it",
        "pipe.json": "is neither a file nor a folder",
        "nowhere.json": "can't be looked at: No such file or directory",
        "outside.json": "is a link that leads out of its folder",
    }
    assert land_all(layout, drop).batches == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without the right")
def test_a_file_without_read_permission_is_listed_with_the_reason_as_root(layout, tmp_path):
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "secret.json").write_bytes(b"{}")
    (drop / "secret.json").chmod(0)
    (drop / "good.json").write_bytes(b"{}")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    tmp_path.chmod(0o777)
    drop.chmod(0o755)
    (drop / "good.json").chmod(0o644)
    os.seteuid(65534)
    try:
        (key,) = land_all(layout, drop).batches
        files = read_manifest(layout, "fhir", key).files
    finally:
        os.seteuid(0)
    problems = {Path(f.source_file).name: f.problem for f in files}
    assert problems == {"good.json": "", "secret.json": "can't be read: Permission denied"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_read_permission_is_listed_with_the_reason(layout, drop):
    (drop / "secret.json").write_bytes(b"{}")
    (drop / "secret.json").chmod(0)
    (key,) = land_all(layout, drop).batches
    (file,) = read_manifest(layout, "fhir", key).files
    assert file.problem == "can't be read: Permission denied"


def test_a_name_that_is_not_utf8_is_escaped(layout, drop):
    path = os.path.join(os.fsencode(drop), b"caf\xe9.json")  # noqa: PTH118 - bytes
    with open(path, "wb") as file:  # noqa: PTH123 - bytes
        file.write(b"{}")
    (key,) = land_all(layout, drop).batches
    (landed,) = read_manifest(layout, "fhir", key).files
    assert landed.source_file.endswith("caf\\xe9.json")


def test_a_file_deleted_between_listing_and_landing_is_no_error(layout, drop):
    (drop / "a.json").write_bytes(b"{}")
    (drop / "b.json").write_bytes(b"[]")
    found = list(discover([drop], drop))
    (drop / "a.json").unlink()
    assert land(found, layout, FHIR_FILES, limits=LIMITS, now=NOON).landed == 1


def test_a_path_that_does_not_exist_is_an_error(layout, drop):
    with pytest.raises(FileNotFoundError, match="no such file"):
        land_all(layout, drop / "nothing")


def test_what_a_killed_landing_left_is_cleared_away(layout, drop):
    (drop / "a.json").write_bytes(b"{}")
    batches = Path(layout.batches("fhir").path)
    (batches / ".landing-dead" / "files").mkdir(parents=True)
    (batches / ".landing-dead" / "files" / "x").write_bytes(b"half")
    result = land_all(layout, drop)
    assert sorted(p.name for p in batches.iterdir() if p.is_dir()) == result.batches


def test_files_are_private(layout, drop):
    (drop / "a.json").write_bytes(b"{}")
    (key,) = land_all(layout, drop).batches
    for path in Path(layout.batch("fhir", key).path).rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b'{"resourceType": "Patient"}', "x", "fhir"),
        (b"\0" * 128 + b"DICM", "x", "dicom"),
        (b"", "x.json", "fhir"),
        (b"text", "x.dcm", "dicom"),
    ],
)
def test_the_kind_is_detected_from_content_then_name(drop, content, name, kind):
    (drop / name).write_bytes(content)
    assert guess_kind(discover([drop], drop), CATALOG.kinds) == kind


def test_two_kinds_in_one_folder_are_not_guessed(drop):
    (drop / "a").write_bytes(b'{"resourceType": "Patient"}')
    (drop / "b").write_bytes(b"\0" * 128 + b"DICM")
    with pytest.raises(AmbiguousKindError, match="dicom and fhir"):
        guess_kind(discover([drop], drop), CATALOG.kinds)


def test_a_known_size_does_not_hide_a_read_error(layout, drop, monkeypatch):
    (drop / "a.json").write_bytes(b"{}")
    land_all(layout, drop)
    (drop / "b.json").write_bytes(b"[]")
    (drop / "c.json").write_bytes(b"a longer one")

    def failing(source):
        if source.name.endswith("b.json"):
            raise landing.UnreadableSourceError("can't be read: Input/output error")
        yield from blocks(source)

    blocks = landing.blocks
    monkeypatch.setattr(landing, "blocks", failing)
    (key,) = land_all(layout, drop).batches
    problems = {
        Path(f.source_file).name: f.problem for f in read_manifest(layout, "fhir", key).files
    }
    assert problems == {"b.json": "can't be read: Input/output error", "c.json": ""}


def test_keys_follow_one_another_whatever_the_clock_says(layout, drop):
    keys = []
    for number, now in enumerate([NOON, NOON - timedelta(days=2), NOON - timedelta(days=1), NOON]):
        path = drop / f"{number}.json"
        path.write_bytes(b"%d" % number)
        result = land(discover([path], drop), layout, FHIR_FILES, limits=LIMITS, now=now)
        assert result.is_clock_behind == (now < NOON or number == 3), "behind those that were moved"
        keys += result.batches
    assert keys == sorted(keys)
    manifests = [read_manifest(layout, "fhir", key) for key in keys]
    times = [manifest.landed_at for manifest in manifests]
    assert times == sorted(set(times))
    assert manifests[1].landed_at == "2026-01-02T12:00:01+00:00"


@given(seconds=st.lists(st.integers(-3, 3), min_size=1, max_size=6))
def test_batches_of_any_clock_keep_their_order(seconds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clock")
    layout, keys = Layout.of(folder / "data"), []
    for number, offset in enumerate(seconds):
        path = folder / f"{number}.json"
        path.write_bytes(b"%d" % number)
        now = NOON + timedelta(seconds=offset)
        keys += land(discover([path], folder), layout, FHIR_FILES, limits=LIMITS, now=now).batches
    assert keys == sorted(set(keys))
    assert len(keys) == len(seconds)


@pytest.mark.parametrize(
    "name",
    ["a.json.part", "a.json.filepart", "a.ndjson.crdownload", "A.JSON.PARTIAL", "a.tmp", "a.json~"],
)
def test_a_file_that_is_still_being_copied_waits_until_it_has_its_name(layout, drop, name):
    (drop / name).write_bytes(b"{")
    (drop / ".a.json.Xa81fZ").write_bytes(b"{")
    result = land_all(layout, drop)
    assert (result.landed, result.waiting) == (0, 1)
    (drop / name).rename(drop / "a.json")
    assert land_all(layout, drop).landed == 1
