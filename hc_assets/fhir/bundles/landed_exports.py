"""Bulk Data exports that have landed: each manifest, and the landed files that it may speak of.

Belongs here: finding them over all batches, and counting what is in a file. What a manifest says
is read in `bulk_manifests.py`; whether an export is whole is judged in
`fhir/verdicts/bulk_exports.py`.
"""

import io
import re
from collections.abc import Iterator, Set
from typing import BinaryIO, NamedTuple

import duckdb

from hc_assets.fhir.bundles.bulk_manifests import BulkManifest, parse_manifest
from hc_assets.fhir.bundles.not_data import MANIFEST
from hc_assets.fhir.bundles.read import read_entries
from hc_assets.fhir.bundles.text_streams import (
    DEFAULT_TEXT_LIMITS,
    LINES,
    WHITE_SPACE,
    Lines,
    TextLimits,
    bounded_lines,
    unpacked,
)
from hc_assets.lake.exclusions import excluded
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import (
    LandedFile,
    Manifest,
    batch_keys,
    read_manifest,
    verified_file,
)

_MANIFESTS = "SELECT DISTINCT batch, source_sha256 FROM fhir.raw_bundles WHERE not_data = ?"
# Columns only: no JSON is read.
_CONTENTS = """
    SELECT batch, source_sha256,
        count(*) - count(issues), mode(resource_type),
        coalesce(bool_and(request_method = 'DELETE'), false), count(problem) > 0
    FROM fhir.raw_bundles WHERE list_contains(?, batch) GROUP BY ALL
"""
# Files elsewhere are named by their whole path, or by a URL.
_IS_BELOW_LANDING = re.compile(r"(?!/|\w+://)")


class Content(NamedTuple):
    """What is in a landed file, as it was split.

    Attributes:
        rows: how many, without those that stand for a Bundle beside its entries.
        resource_type: of most of them; None where none has one.
        are_deletions: whether each row deletes a resource.
        has_problems: whether a row is of what could not be split; it need not be a line.
    """

    rows: int
    resource_type: str | None
    are_deletions: bool
    has_problems: bool


class LandedVersion(NamedTuple):
    """A file as it landed once.

    Attributes:
        batch: key of the batch that it landed with.
        name: where it lies below the folder of the manifest.
        kept_in: key of the batch that keeps its bytes.
        file: as that batch's manifest lists it.
        content: what is in it; None where nothing is known of it.
    """

    batch: str
    name: str
    kept_in: str
    file: LandedFile
    content: Content | None


class LandedExport(NamedTuple):
    """A manifest, and what of its folder has landed.

    Attributes:
        batch: key of the batch that the manifest landed with.
        folder: that its file lies in.
        manifest: what it says.
        files: versions of each file that it can speak of, by its name: those of its own batch and
            later ones, else all; none from before the manifest of that name before it, and none
            from after the next one.
        is_apart: whether none is in its folder, and these only came with it.
    """

    batch: str
    folder: str
    manifest: BulkManifest
    files: dict[str, list[LandedVersion]]
    is_apart: bool


class Count(NamedTuple):
    """How much is in a landed file.

    Attributes:
        numbers: of resources; several where a Bundle can count as one or as what it holds.
        damage: why it can't be read to its end; "" where it can.
    """

    numbers: frozenset[int]
    damage: str = ""


class _Named(NamedTuple):
    """A file of a batch by the name that it came under."""

    batch: str
    source_file: str
    kept_in: str
    file: LandedFile


def landed_exports(
    connection: duckdb.DuckDBPyConnection,
    layout: Layout,
    limits: TextLimits = DEFAULT_TEXT_LIMITS,
) -> list[LandedExport]:
    """Find all exports whose manifest has landed, in the order of landing.

    Args:
        connection: to the warehouse.
        layout: of the batches; those that are left out count as if they had not landed.
        limits: of what is read of a file.

    Raises:
        DamagedLakeError: a manifest is not what was landed, or that of a batch is damaged.
    """
    found = set(connection.execute(_MANIFESTS, [MANIFEST]).fetchall())
    if not found:
        return []
    named = _near_manifests(layout, found)
    # One that was still there when more of its folder landed is no other export.
    first = {
        (each.source_file, each.file.sha256): each
        for each in reversed(named)
        if (each.kept_in, each.file.sha256) in found
    }
    manifests = [
        (each, manifest)
        for each in sorted(first.values(), key=lambda of: (of.batch, of.source_file))
        for manifest in _manifests_in(layout, each, limits)
    ]
    is_manifest = {each.source_file for each, _ in manifests}
    folders = {_folder(each.source_file) for each, _ in manifests}
    by_folder: dict[str | None, list[_Named]] = {}
    for each in named:
        if each.source_file not in is_manifest:
            by_folder.setdefault(_nearest(each.source_file, folders), []).append(each)
    listed = []
    for each, manifest in manifests:
        files = _versions(each, manifests, by_folder.get(_folder(each.source_file), []))
        # It may have been given beside its files, and not in their folder.
        beside = [] if files else [f for f in by_folder.get(None, []) if f.batch == each.batch]
        listed.append((each, manifest, files, beside))
    used = {each.kept_in for _, _, *places in listed for files in places for each in files}
    contents = {
        (batch, sha256): Content(*rest)
        for batch, sha256, *rest in connection.execute(_CONTENTS, [sorted(used)]).fetchall()
    }
    return [
        LandedExport(
            each.batch,
            _folder(each.source_file),
            manifest,
            _by_name(_folder(each.source_file), files or beside, contents, each.batch),
            is_apart=not files,
        )
        for each, manifest, files, beside in listed
    ]


def count_of(
    layout: Layout,
    version: LandedVersion,
    expected: int | None,
    limits: TextLimits = DEFAULT_TEXT_LIMITS,
) -> Count:
    """Count the resources in a landed file; it is read only where its rows are not as expected.

    Args:
        layout: of the batches.
        version: the file.
        expected: what a manifest says; None where it does not.
        limits: of what is read.

    Raises:
        DamagedFileError: it is not what was landed.
    """
    if version.file.problem:
        return Count(frozenset(), version.file.problem)
    content, media_type = version.content, version.file.media_type
    rows = frozenset[int]()
    if content is not None and not content.has_problems:
        rows = frozenset([content.rows])
        if expected in (None, content.rows):
            return Count(rows)
    with _opened(layout, version.kept_in, version.file) as stream:
        if media_type != LINES:
            # A Bundle counts as one, or as its entries.
            found = list(read_entries(stream, media_type, keep_bundles=True, limits=limits))
            damage = next((each.problem for each in found if each.resource is None), None)
            whole = sum(bool(each.resource) for each in found)
            return Count(rows | {whole}, damage or "")
        lines = Lines(bounded_lines(unpacked(stream, limits), limits.text))
        count = sum(1 for line in lines if line.strip(WHITE_SPACE))
    return Count(rows | {count}, lines.damage)


def _near_manifests(layout: Layout, found: Set[tuple[str, str]]) -> list[_Named]:
    """Files that lie in the folder of a manifest, or came in a batch with one, in order of landing.

    What had landed before is kept where it landed then. All lists of batches are read; only what is
    near a manifest is held.

    Args:
        layout: of the batches.
        found: key of the batch that keeps a manifest, and its hash.
    """
    hashes = {sha256 for _, sha256 in found}
    folders: set[str] = set()
    batches: set[str] = set()
    for listed in _standing(layout):
        names = [(file.source_file, file.sha256) for file in listed.files] + listed.duplicates
        of_manifests = [name for name, sha256 in names if sha256 in hashes]
        folders.update(map(_folder, of_manifests))
        batches.update([listed.key] if of_manifests else [])
    near: list[_Named] = []
    again: list[tuple[str, str, tuple[str, str]]] = []
    for listed in _standing(layout):
        is_with_one = listed.key in batches
        near += [
            _Named(listed.key, file.source_file, listed.key, file)
            for file in listed.files
            if is_with_one or _nearest(file.source_file, folders) is not None
        ]
        again += [
            (listed.key, name, (listed.source, sha256))
            for name, sha256 in listed.duplicates
            if is_with_one or _nearest(name, folders) is not None
        ]
    kept: dict[tuple[str, str], tuple[str, LandedFile]] = {}
    sought = {key for _, _, key in again}
    for listed in _standing(layout) if sought else ():
        for file in listed.files:
            if (listed.source, file.sha256) in sought:
                kept.setdefault((listed.source, file.sha256), (listed.key, file))
    near += [_Named(batch, name, *kept[key]) for batch, name, key in again if key in kept]
    return sorted(near, key=lambda each: each.batch)


def _standing(layout: Layout) -> Iterator[Manifest]:
    gone = excluded(layout)
    keys = (key for key in batch_keys(layout, "fhir") if key not in gone)
    return (read_manifest(layout, "fhir", key) for key in keys)


def _manifests_in(layout: Layout, named: _Named, limits: TextLimits) -> Iterator[BulkManifest]:
    with _opened(layout, named.kept_in, named.file) as stream:
        media_type = named.file.media_type
        for entry in read_entries(stream, media_type, keep_bundles=True, limits=limits):
            manifest = parse_manifest(entry.resource)
            if manifest is not None:
                yield manifest


def _opened(layout: Layout, batch: str, file: LandedFile) -> BinaryIO:
    return io.BytesIO() if file.problem else verified_file(layout, "fhir", batch, file).open("rb")


def _folder(source_file: str) -> str:
    return source_file[: source_file.rfind("/") + 1]


def _nearest(source_file: str, folders: Set[str]) -> str | None:
    """The innermost of some folders that a file is in."""
    folder = _folder(source_file)
    while folder not in folders:
        if not folder:
            return None
        folder = _folder(folder[:-1])
    return folder if folder or _IS_BELOW_LANDING.match(source_file) else None


def _versions(
    own: _Named, manifests: list[tuple[_Named, BulkManifest]], below: list[_Named]
) -> list[_Named]:
    """Files that a manifest can speak of, of those in its folder."""
    of_name = [each.batch for each, _ in manifests if each.source_file == own.source_file]
    after = max((batch for batch in of_name if batch < own.batch), default="")
    before = min((batch for batch in of_name if batch > own.batch), default="")
    return [each for each in below if after < each.batch and (not before or each.batch < before)]


def _by_name(
    folder: str,
    files: list[_Named],
    contents: dict[tuple[str, str], Content],
    batch: str,
) -> dict[str, list[LandedVersion]]:
    found: dict[str, list[LandedVersion]] = {}
    for each in sorted(files, key=lambda file: file.batch):
        name = each.source_file.removeprefix(folder)
        content = contents.get((each.kept_in, each.file.sha256))
        made = LandedVersion(each.batch, name, each.kept_in, each.file, content)
        found.setdefault(name, []).append(made)
    for name, versions in found.items():
        if any(each.batch == batch for each in versions):
            found[name] = [each for each in versions if each.batch >= batch]
    return found
