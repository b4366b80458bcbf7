"""Whether each Bulk Data export whose manifest has landed is here as a whole.

Belongs here: comparing what a manifest lists with what landed. Finding both is in
`fhir/bundles/landed_exports.py`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from hc_assets.core.verdicts import Verdict
from hc_assets.fhir.bundles.bulk_manifests import DELETED, ERROR, OUTPUT, ListedFile
from hc_assets.fhir.bundles.landed_exports import Count, LandedExport, LandedVersion

_SHOWN = 20
_LONGEST_NAME = 120
_PACKED = re.compile(r"\.(?:gz|zst)$", re.IGNORECASE)
_NO_LETTERS = re.compile(r"[^A-Za-z]+")
_OUTCOMES = "OperationOutcome"

Counting = Callable[[LandedVersion, int | None], Count]
Versions = list[LandedVersion]


class _Found(NamedTuple):
    """What was found of an export: sentences, how many files, and the names of those in use."""

    failures: list[str]
    notes: list[str]
    counts: Counter[str]
    used: set[str]


def exports_complete(exports: Iterable[LandedExport], count: Counting) -> Verdict:
    """Judge that each file that a manifest lists is here, with as many resources as it says.

    Args:
        exports: those whose manifest has landed.
        count: says how much is in a landed file, of which so much is expected.

    Returns:
        A verdict whose value is the number of files that are missing or differ, and of further
        pages of manifests; only 0 passes. Files of OperationOutcomes that are missing, and files
        that no manifest lists, are named and do no harm: no data are lost with them.
    """
    listed = list(exports)
    found = [_compared(each, count) for each in listed]
    others = sorted(_not_listed(listed, found))
    failures = [*_missing_pages(listed), *(text for each in found for text in each.failures)]
    notes = [text for each in found for text in each.notes]
    notes += [f"{_shown_name(name)} is not listed" for name in others]
    counts = sum((each.counts for each in found), Counter(not_listed=len(others)))
    if not listed:
        text = "no manifest of a Bulk Data export has landed: nothing says what should be here"
    elif failures:
        text = f"{_exports(len(listed))}: {_shown(failures)}"
    else:
        text = (
            f"{_exports(len(listed))}: nothing is missing of {counts['listed']} files that"
            " manifests list"
        )
    if notes:
        text += f"; besides: {_shown(notes)}"
    return Verdict(
        passed=not failures,
        value=float(len(failures)),
        threshold=0.0,
        explanation=text,
        counts={"exports": len(listed)} | {name: counts[name] for name in _COUNTED},
    )


_COUNTED = (
    *("listed", "missing", "of_another_count"),
    *("error_files", "error_files_missing", "outcomes", "not_listed"),
)


def _exports(number: int) -> str:
    return f"{number} Bulk Data export{'' if number == 1 else 's'}"


def _shown(texts: list[str]) -> str:
    left = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {left} more" if left > 0 else "")


def _missing_pages(exports: list[LandedExport]) -> Iterator[str]:
    pages: dict[tuple[str, str], list[bool]] = {}
    for each in exports:
        key = (each.manifest.transaction_time, each.manifest.request)
        pages.setdefault(key, []).append(each.manifest.has_next)
    for follow in pages.values():
        if sum(follow) >= len(follow):
            yield "a further page of a manifest is missing"


def _compared(export: LandedExport, count: Counting) -> _Found:
    paired = _paired(export)
    found = _Found([], [], Counter(), set())
    for listed, name in paired:
        is_error = listed.list == ERROR
        found.counts["error_files" if is_error else "listed"] += 1
        if name is None:
            _note_missing(found, listed)
            continue
        found.used.add(name)
        counts = [count(version, listed.resources) for version in export.files[name]]
        if is_error:
            found.counts["outcomes"] += max(counts[-1].numbers, default=0)
        elif not any(_agrees(listed, each) for each in counts):
            found.counts["of_another_count"] += 1
            found.failures.append(_difference(listed, name, counts[-1]))
    return found


def _note_missing(found: _Found, listed: ListedFile) -> None:
    name = _shown_name(next(iter(_names(listed.url)), "a file without a name"))
    if listed.list == ERROR:
        found.counts["error_files_missing"] += 1
        found.notes.append(f"{name} (of errors) is missing")
        return
    found.counts["missing"] += 1
    size = "" if listed.resources is None else f" ({listed.resources} listed)"
    what = " (of deletions)" if listed.list == DELETED else ""
    found.failures.append(f"{name}{what} is missing{size}")


def _agrees(listed: ListedFile, counted: Count) -> bool:
    return not counted.damage and (listed.resources is None or listed.resources in counted.numbers)


def _difference(listed: ListedFile, name: str, counted: Count) -> str:
    has = " or ".join(map(str, sorted(counted.numbers))) or "none"
    of = "" if listed.resources is None else f" of {listed.resources} listed"
    damage = f": {counted.damage}" if counted.damage else ""
    return f"{_shown_name(name)} has {has}{of}{damage}"


def _not_listed(exports: list[LandedExport], found: list[_Found]) -> set[str]:
    """Names of files with resources that came with a manifest, and that none of its folder lists.

    Those of OperationOutcomes are left out: servers and clients put them beside an export.
    """
    used = {
        (export.folder, name) for export, of in zip(exports, found, strict=True) for name in of.used
    }
    return {
        name
        for export in exports
        if not export.is_apart
        for name, versions in export.files.items()
        if (export.folder, name) not in used
        and any(
            each.batch == export.batch
            and each.content is not None
            and each.content.resource_type not in (None, _OUTCOMES)
            for each in versions
        )
    }


def _paired(export: LandedExport) -> list[tuple[ListedFile, str | None]]:
    """Find the file of each that is listed: by its name, else by its type.

    Where no address in a list names a file, addresses there do not name files at all, as those of
    servers that number them: then files of the type in the manifest's folder are taken, of the same
    count first.
    """
    listed, files = list(export.manifest.files), export.files
    of_listed = _by_names(listed, files)
    named = {listed[number].list for number in of_listed}
    free = {name: versions for name, versions in files.items() if name not in of_listed.values()}
    for list_ in (OUTPUT, DELETED, ERROR):
        if list_ not in named and not export.is_apart:
            numbers = [number for number, each in enumerate(listed) if each.list == list_]
            for number, name in _by_types(numbers, listed, free):
                of_listed[number] = name
                del free[name]
    return [(each, of_listed.get(number)) for number, each in enumerate(listed)]


def _by_names(listed: list[ListedFile], files: dict[str, Versions]) -> dict[int, str]:
    by_last: dict[str, list[str]] = {}
    for name in files:
        by_last.setdefault(_unpacked(name.rpartition("/")[2]), []).append(name)
    pairs: list[tuple[int, int, int, str]] = []
    for number, each in enumerate(listed):
        for rank, last in enumerate(_names(each.url)):
            path = _unpacked(unquote(each.url.partition("?")[0])).split("/")
            pairs += [
                (rank, -_in_common(path, _unpacked(name).split("/")), number, name)
                for name in by_last.get(_unpacked(last), ())
            ]
    found: dict[int, str] = {}
    for _, _, number, name in sorted(pairs):
        if number not in found and name not in found.values():
            found[number] = name
    return found


def _by_types(
    numbers: list[int], listed: list[ListedFile], files: dict[str, Versions]
) -> Iterator[tuple[int, str]]:
    left = dict(files)
    for is_exact in (True, False):
        for number in list(numbers):
            each = listed[number]
            fitting = (
                name
                for name, versions in left.items()
                if _is_of(each, versions[-1])
                and (not is_exact or _rows(versions[-1]) == each.resources)
            )
            name = next(fitting, None)
            if name is not None:
                numbers.remove(number)
                del left[name]
                yield number, name


def _rows(version: LandedVersion) -> int | None:
    return None if version.content is None else version.content.rows


def _is_of(listed: ListedFile, version: LandedVersion) -> bool:
    """Whether a file can be one of the list and type, by what is in it, else by its name."""
    content = version.content
    if listed.list == DELETED:
        return content is not None and (
            content.are_deletions or (not content.resource_type and "deleted" in version.name)
        )
    wanted = _OUTCOMES if listed.list == ERROR else listed.resource_type
    if content is None or content.are_deletions:
        return False
    if content.resource_type is not None:
        return wanted in (None, content.resource_type)
    return wanted in _NO_LETTERS.split(version.name.rpartition("/")[2])


def _names(url: str) -> list[str]:
    """Names of the file that an address may mean: the end of its path, else that of a parameter."""
    path, _, query = url.partition("?")
    texts = [unquote(path.partition("#")[0]), *(value for _, value in parse_qsl(query))]
    lasts = [text.rstrip("/").rpartition("/")[2] for text in texts]
    return [last for number, last in enumerate(lasts) if last and (not number or "." in last)]


def _shown_name(name: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in name)[:_LONGEST_NAME]


def _unpacked(name: str) -> str:
    return _PACKED.sub("", name)


def _in_common(first: list[str], second: list[str]) -> int:
    number = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        number += 1
    return number
