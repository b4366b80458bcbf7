import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from upath import UPath

from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.lake import discovery, watching
from hc_assets.lake.discovery import AnyPath, discover
from hc_assets.lake.landing import BatchLimits, LandingResult
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys, read_manifest
from hc_assets.lake.watching import look

LIMITS = BatchLimits(files=100, size=10**9)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "landing"
    made.mkdir()
    return made


@pytest.fixture
def stored() -> Iterator[UPath]:
    made = UPath("memory://watched")
    made.fs.store.clear()
    made.mkdir(parents=True, exist_ok=True)
    yield made
    made.fs.store.clear()


def ticking(step: float) -> Callable[[], float]:
    seconds = iter(range(1_000_000))
    return lambda: next(seconds) * step


def look_at(
    folder: AnyPath,
    layout: Layout,
    *,
    after: float = 60.0,
    settle: float = 10.0,
    landing_seconds: float = 1000.0,
    step: float = 0.0,
    **bounds: Any,
) -> LandingResult:
    return look(
        folder,
        layout,
        FHIR_FILES,
        limits=LIMITS,
        settle_seconds=settle,
        landing_seconds=landing_seconds,
        now=datetime.now(UTC) + timedelta(seconds=after),
        clock=ticking(step),
        **bounds,
    )


def landed_names(layout: Layout) -> list[str]:
    return sorted(
        file.source_file
        for key in batch_keys(layout, "fhir")
        for file in read_manifest(layout, "fhir", key).files
    )


def test_what_is_new_and_settled_is_landed(folder, layout):
    (folder / "a.json").write_bytes(b"{}")
    (folder / "below").mkdir()
    (folder / "below" / "b.json").write_bytes(b"[]")
    assert look_at(folder, layout).landed == 2
    assert landed_names(layout) == ["a.json", "below/b.json"]


def test_a_folder_that_is_not_there_holds_nothing(folder, layout):
    assert look_at(folder / "nothing", layout) == LandingResult()


def test_a_file_that_changed_lately_waits(folder, layout):
    (folder / "a.json").write_bytes(b"{}")
    early = look_at(folder, layout, after=5)
    assert (early.landed, early.waiting) == (0, 1)
    assert look_at(folder, layout, after=15).landed == 1


def test_a_copy_that_keeps_its_old_time_waits_as_well(folder, layout):
    (folder / "a.json").write_bytes(b"{}")
    os.utime(folder / "a.json", (0, 0))
    assert look_at(folder, layout, after=5).waiting == 1


def test_a_file_dated_in_the_future_is_landed_once_it_is_seen_to_rest(folder, layout):
    (folder / "a.json").write_bytes(b"{}")
    ahead = datetime.now(UTC).timestamp() + 86_400
    os.utime(folder / "a.json", (ahead, ahead))
    assert look_at(folder, layout, after=20).waiting == 1
    assert look_at(folder, layout, after=40).landed == 1


def test_a_known_file_is_not_read_again(folder, layout, monkeypatch):
    (folder / "a.json").write_bytes(b"{}")
    look_at(folder, layout)
    passed = []
    landing = watching.land

    def spying(found, *arguments, **options):
        return landing((passed.append(each) or each for each in found), *arguments, **options)

    monkeypatch.setattr(watching, "land", spying)
    assert look_at(folder, layout, after=120).landed == 0
    assert passed == []
    (folder / "b.json").write_bytes(b"[]")
    look_at(folder, layout, after=180)
    assert [each.source_file for each in passed] == ["b.json"]


def test_where_the_notes_are_lost_nothing_is_landed_twice(folder, layout):
    (folder / "a.json").write_bytes(b"{}")
    look_at(folder, layout)
    layout.watched_files("fhir").unlink()
    again = look_at(folder, layout, after=120)
    assert (again.landed, again.already_landed) == (0, 1)


def test_new_content_under_an_old_name_is_landed_again(folder, layout):
    (folder / "a.json").write_bytes(b"{}")
    look_at(folder, layout)
    (folder / "a.json").write_bytes(b"[]")
    assert look_at(folder, layout).landed == 1
    assert landed_names(layout) == ["a.json", "a.json"]


def test_a_look_is_short_and_the_next_ones_land_the_rest(folder, layout):
    for number in range(10):
        (folder / f"{number}.json").write_text(f'{{"n": {number}}}')
    landed = []
    while not landed or landed[-1]:
        landed.append(look_at(folder, layout, landing_seconds=2.5, step=1.0).landed)
    assert landed == [3, 3, 3, 1, 0]
    assert landed_names(layout) == [f"{number}.json" for number in range(10)]


def test_a_look_asks_after_a_bounded_number_of_known_files_and_the_next_after_others(
    folder, layout, monkeypatch
):
    for number in range(6):
        (folder / f"{number}.json").write_text(f'{{"n": {number}}}')
    look_at(folder, layout)
    asked: list[str] = []
    version = discovery.Place.version

    def asking(self, path):
        asked.append(Path(path).name)
        return version(self, path)

    monkeypatch.setattr(discovery.Place, "version", asking)
    looks = []
    for _ in range(4):
        look_at(folder, layout, step=1.0, asked_at_once=2)
        looks.append([*asked])
        asked.clear()
    names = [[f"{first}.json", f"{first + 1}.json"] for first in (0, 2, 4)]
    assert looks == [*names, []]  # the last one found no more after those, and starts over
    (folder / "3.json").write_text('"replaced"')
    again = [look_at(folder, layout, step=1.0, asked_at_once=2) for _ in range(4)]
    assert [each.landed for each in again] == [0, 1, 0, 0]


def test_a_waiting_file_is_not_checked_until_it_may_have_settled(folder, layout, monkeypatch):
    monkeypatch.setattr(watching.Watch, "forget_changed", lambda *_: None)
    (folder / "a.json").write_bytes(b"{}")
    assert look_at(folder, layout, after=1).waiting == 1
    with monkeypatch.context() as patched:
        patched.delattr(discovery.Place, "examine")
        assert look_at(folder, layout, after=5).waiting == 1
    assert look_at(folder, layout, after=15).landed == 1


def test_waiting_files_do_not_keep_others_from_being_landed(folder, layout):
    for number in range(6):
        (folder / f"{number}.json").write_text(f'{{"n": {number}}}')
    ahead = datetime.now(UTC).timestamp() + 86_400
    for number in range(5):  # dated in the future: each must be seen to rest
        os.utime(folder / f"{number}.json", (ahead, ahead))
    looks = [look_at(folder, layout, landing_seconds=1.5, step=1.0) for _ in range(3)]
    assert [each.landed for each in looks] == [0, 0, 1]


def test_a_folder_that_was_empty_is_named_and_what_comes_into_it_is_landed(folder, layout):
    (folder / "below").mkdir()
    assert look_at(folder, layout).unreadable == 1
    assert look_at(folder, layout).landed == 0
    (folder / "below" / "a.json").write_bytes(b"{}")
    assert look_at(folder, layout).landed == 1
    assert landed_names(layout) == ["below", "below/a.json"]


def test_a_file_deleted_while_its_folder_is_listed_is_no_error(folder, layout, monkeypatch):
    for name in "ab":
        (folder / f"{name}.json").write_text(f'"{name}"')
    examine = discovery.Place.examine

    def deleting(self, path):
        (folder / "a.json").unlink(missing_ok=True)
        return examine(self, path)

    monkeypatch.setattr(discovery.Place, "examine", deleting)
    assert look_at(folder, layout).landed == 1
    assert landed_names(layout) == ["b.json"]


def test_every_look_lands_at_least_one_file(folder, layout):
    for number in range(3):
        (folder / f"{number}.json").write_text(f'{{"n": {number}}}')
    looks = [look_at(folder, layout, landing_seconds=0.5, step=1.0).landed for _ in range(4)]
    assert looks == [1, 1, 1, 0]


def test_a_look_that_is_killed_is_made_up_for_by_the_next(folder, layout, monkeypatch):
    for number in range(4):
        (folder / f"{number}.json").write_text(f'{{"n": {number}}}')

    def dying(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(watching.Watch, "keep", dying)
        with pytest.raises(KeyboardInterrupt):
            look_at(folder, layout)
    assert look_at(folder, layout).landed == 0
    assert len(landed_names(layout)) == 4


def test_a_file_deleted_between_listing_and_landing_is_no_error(folder, layout, monkeypatch):
    for name in "abc":
        (folder / f"{name}.json").write_text(f'"{name}"')

    def listing(*arguments):
        found = list(discover(*arguments))
        (folder / "b.json").unlink()
        return iter(found)

    monkeypatch.setattr(watching, "discover", listing)
    assert look_at(folder, layout).landed == 2
    assert landed_names(layout) == ["a.json", "c.json"]


def test_a_look_does_not_wait_for_a_landing_by_hand(folder, layout):
    (folder / "a.json").write_bytes(b"{}")
    look_at(folder / "nothing", layout)
    layout.batches("fhir").mkdir(parents=True)
    with FileLock(Path(layout.batches("fhir").path) / ".lock"):
        assert look_at(folder, layout, wait_seconds=0.01).is_busy
    assert look_at(folder, layout).landed == 1


def test_what_is_gone_is_forgotten(folder, layout):
    (folder / "a.json").write_bytes(b"{}")
    look_at(folder, layout)
    (folder / "a.json").unlink()
    look_at(folder, layout)
    with watching._notes(layout, "fhir") as notes:
        assert notes.execute("SELECT count(*) FROM files").fetchone() == (0,)


def test_the_notes_are_private(folder, layout):
    look_at(folder, layout)
    assert stat.S_IMODE(layout.watched_files("fhir").stat().st_mode) == 0o600


def test_names_that_are_not_utf8_are_watched(folder, layout):
    with open(os.path.join(os.fsencode(folder), b"caf\xe9.json"), "wb") as file:  # noqa: PTH118, PTH123
        file.write(b"{}")
    assert look_at(folder, layout).landed == 1
    assert look_at(folder, layout).landed == 0


def test_objects_of_a_store_are_landed_once_they_are_seen_twice(stored, layout):
    (stored / "a.json").write_bytes(b"{}")
    (stored / "below").mkdir()
    (stored / "below" / "b.json").write_bytes(b"[]")
    (stored / ".hidden").write_bytes(b"")
    assert look_at(stored, layout, after=0).waiting == 2
    assert look_at(stored, layout, after=15).landed == 2
    assert landed_names(layout) == ["a.json", "below/b.json"]
    assert look_at(stored, layout, after=30).landed == 0


def test_an_object_replaced_in_a_store_is_landed_again(stored, layout):
    (stored / "a.json").write_bytes(b"{}")
    look_at(stored, layout, settle=0)
    (stored / "a.json").write_bytes(b"[]")
    assert look_at(stored, layout, settle=0).landed == 1


def test_an_object_deleted_between_listing_and_landing_is_no_error(stored, layout, monkeypatch):
    for name in "ab":
        (stored / f"{name}.json").write_text(f'"{name}"')

    def listing(*arguments):
        found = list(discover(*arguments))
        (stored / "a.json").unlink()
        return iter(found)

    monkeypatch.setattr(watching, "discover", listing)
    assert look_at(stored, layout, settle=0).landed == 1
    assert landed_names(layout) == ["b.json"]


def test_an_object_replaced_while_it_is_copied_waits(stored, layout, monkeypatch):
    (stored / "a.json").write_bytes(b"{}")
    from hc_assets.lake import landing

    blocks = landing.blocks

    def meddling(source):
        yield from blocks(source)
        (stored / "a.json").write_bytes(b"[]")

    with monkeypatch.context() as patched:
        patched.setattr(landing, "blocks", meddling)
        assert look_at(stored, layout, settle=0).waiting == 1
    assert landed_names(layout) == []
    assert look_at(stored, layout, settle=0).landed == 1


def test_a_store_without_the_folder_holds_nothing(stored, layout):
    assert look_at(stored / "nothing", layout) == LandingResult()
