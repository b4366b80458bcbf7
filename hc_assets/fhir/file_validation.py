"""Validates FHIR files as they lie, without landing them.

Belongs here: streaming a file's entries through `validation.py`. How findings are shown is in
`cli.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hc_assets.fhir.bundles import read_entries
from hc_assets.fhir.validation import Issue, validate
from hc_assets.lake.discovery import Found
from hc_assets.lake.landing import media_type


@dataclass(frozen=True)
class Finding:
    """What is to be said of one resource of a file; `issues` is empty where it has none."""

    file: Path
    position: int
    resource_type: str | None
    resource_id: str | None
    issues: list[Issue]


class UnreadableFileError(Exception):
    """A file can't be opened or read to its end."""


def validate_file(found: Found) -> Iterator[Finding]:
    """Validate each resource of a bundle, an NDJSON file or a single-resource file, in order.

    Raises:
        UnreadableFileError: the file can't be read.
    """
    if found.problem:
        raise UnreadableFileError(f"{found.path}: {found.problem}")
    try:
        with found.path.open("rb") as stream:
            for entry in read_entries(stream, media_type(found.path.name)):
                if entry.problem is not None:
                    issues = [unreadable(entry.problem)]
                else:
                    issues = [] if entry.resource is None else validate(entry.resource)
                yield Finding(
                    found.path, entry.position, entry.resource_type, entry.resource_id, issues
                )
    except OSError as error:
        raise UnreadableFileError(f"{found.path}: can't be read: {error.strerror}") from error


def unreadable(problem: str) -> Issue:
    """Say as an issue that no resource could be taken from a place."""
    return Issue(
        severity="fatal", code="structure", expression="", rule="unreadable", diagnostics=problem
    )
