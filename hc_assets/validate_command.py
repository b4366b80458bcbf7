"""`hc-assets validate`: FHIR files judged without being ingested.

Belongs here: the command's arguments, and what is shown. Judging is in `fhir/file_validation.py`.
"""

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hc_assets.exit_codes import FINDINGS, UNREADABLE, say, stop
from hc_assets.lake.discovery import discover
from hc_assets.settings import Settings

if TYPE_CHECKING:
    from hc_assets.fhir.file_validation import Finding

validate_app = typer.Typer()


class ValidateFormat(StrEnum):
    """Formats of `validate`."""

    TEXT = "text"
    NDJSON = "ndjson"


@validate_app.command()
def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Files, or folders of files.", show_default=False)
    ],
    format: Annotated[  # noqa: A002 - the option's name
        ValidateFormat, typer.Option(help="Lines for a person, or one OperationOutcome per line.")
    ] = ValidateFormat.TEXT,
    profile: Annotated[
        list[Path] | None,
        typer.Option(
            help="File or folder of StructureDefinitions that resources are held against where"
            " meta.profile names them; beside those of HC_FHIR_PROFILES.",
            show_default=False,
        ),
    ] = None,
    best_practice: Annotated[
        bool, typer.Option(help="Show what R4 only recommends (dom-6: narrative) as well.")
    ] = False,
) -> None:
    """Validate FHIR R4 bundles, single resources and NDJSON files.

    A Bundle is judged as one resource, and what is wrong in an entry is said of the entry. A count
    per rule goes to stderr at the end.
    """
    from hc_assets.fhir.file_validation import validate_files
    from hc_assets.fhir.profile_rules import loaded
    from hc_assets.fhir.profiles import ProfileError
    from hc_assets.fhir.validation import operation_outcome

    resources = invalid = unreadable = 0
    by_rule: Counter[str] = Counter()
    for path in files:
        if not path.exists():
            say(f"hc-assets: {path}: no such file or folder")
            unreadable += 1
    found = discover([path for path in files if path.exists()], Path.cwd())
    settings = Settings()
    profiles = tuple(str(path) for path in [*settings.fhir_profiles, *(profile or [])])
    try:
        loaded(profiles)
    except (OSError, ProfileError) as error:
        raise stop(UNREADABLE, f"profiles: {error}") from error
    for checked in validate_files(
        found, workers=settings.workers, profiles=profiles, best_practice=best_practice
    ):
        resources += checked.resources
        invalid += checked.invalid()
        if checked.problem:
            say(f"hc-assets: {checked.file}: {checked.problem}")
            unreadable += 1
        by_rule.update(checked.by_rule)
        for finding in checked.findings:
            if format is ValidateFormat.NDJSON:
                typer.echo(operation_outcome(finding.issues))
            else:
                _print_issues(checked.file, finding)
    for rule, count in by_rule.most_common():
        say(f"{count:>8}  {rule}")
    say(f"{resources} resources, {invalid} invalid")
    if unreadable:
        raise typer.Exit(UNREADABLE)
    if invalid:
        raise typer.Exit(FINDINGS)


def _print_issues(file: str, finding: "Finding") -> None:
    what = "/".join(filter(None, (finding.resource_type, finding.resource_id))) or "unknown"
    place = file if finding.position is None else f"{file}:{finding.position}"
    for issue in finding.issues:
        typer.echo(
            f"{place}: {what}: {issue.severity} {issue.rule}"
            f" at {issue.expression or 'the whole'}: {issue.diagnostics}"
        )
