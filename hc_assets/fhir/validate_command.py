"""`hc-assets validate`: FHIR files judged without being ingested.

Belongs here: the command's arguments, and what is shown. Judging is in `fhir/validation/files.py`.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hc_assets.cli.exit_codes import (
    FINDINGS,
    UNREADABLE,
    errors_become_exit_codes,
    print_message,
)
from hc_assets.fhir.settings import FhirSettings
from hc_assets.lake.discovery import Found, discover

if TYPE_CHECKING:
    from hc_assets.fhir.validation import Issue
    from hc_assets.fhir.validation.files import Finding

validate_app = typer.Typer()


class ValidateFormat(StrEnum):
    """Formats of `validate`."""

    TEXT = "text"
    NDJSON = "ndjson"


@validate_app.command()
def validate(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Files, folders of files, ZIP and tar archives, or - for standard input.",
            show_default=False,
        ),
    ],
    *,
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
    information: Annotated[
        bool,
        typer.Option(
            help="Print issues of severity information line by line; else their number alone."
        ),
    ] = False,
    show_values: Annotated[
        bool,
        typer.Option(
            help="Show ids, and the codes, URLs and unknown members that were found: they may name"
            " a patient, and output is kept by terminals, CI and logs. With ndjson ids are shown"
            " anyway, for programs."
        ),
    ] = False,
) -> None:
    """Validate FHIR R4 bundles, single resources, NDJSON files and archives of them.

    A Bundle is judged as one resource, and an issue in an entry is reported for the entry. A count
    per rule goes to stderr at the end. Rule, place and kind are printed; values only on request.
    """
    from hc_assets.fhir.bundles.text_streams import TextLimits
    from hc_assets.fhir.validation.file_work import STDIN
    from hc_assets.fhir.validation.files import validate_files
    from hc_assets.fhir.validation.let_through import LetThrough
    from hc_assets.fhir.validation.outcomes import outcome, outcome_of_file
    from hc_assets.fhir.validation.problems import unreadable as unreadable_issue
    from hc_assets.fhir.validation.profile_rules import NONE_NAMED, given_profiles, usable
    from hc_assets.fhir.validation.redacted_issues import known_type, without_values

    resources = invalid = 0
    names_profile = False
    by_rule: Counter[str] = Counter()
    settings = FhirSettings()
    base = settings.fhir_extension_base
    found, unreadable = _found(files, STDIN)
    paths = [*settings.fhir_profiles, *(profile or [])]
    profiles = given_profiles(paths, settings.fhir_profile_for)
    with errors_become_exit_codes():
        notes = usable(profiles)
    for note in notes:
        print_message(f"hc-assets: profiles: {note}")
    judged = validate_files(
        chain.from_iterable(found),
        workers=settings.workers,
        profiles=profiles,
        best_practice=best_practice,
        let_through=LetThrough.of(settings.fhir_rules_as_warnings),
        limits=TextLimits.configured(settings),
        row_seconds=settings.row_seconds,
        with_places=format is ValidateFormat.NDJSON,
        stdin=sys.stdin.buffer,
    )
    with errors_become_exit_codes():
        for checked in judged:
            resources += checked.resources
            invalid += checked.invalid()
            names_profile = names_profile or checked.names_profile
            if checked.problem:
                print_message(f"hc-assets: {checked.file}: {checked.problem}")
                unreadable += 1
                if format is ValidateFormat.NDJSON:
                    typer.echo(outcome_of_file(checked.file, unreadable_issue(checked.problem)))
            by_rule.update(checked.by_rule)
            for finding in checked.findings:
                issues = (
                    finding.issues if show_values else list(map(without_values, finding.issues))
                )
                if format is ValidateFormat.NDJSON:
                    typer.echo(
                        outcome(checked.file, finding, issues, base, show_values=show_values)
                    )
                else:
                    what = _named(finding) if show_values else known_type(finding.resource_type)
                    worth = [i for i in issues if information or i.severity != "information"]
                    _print_issues(checked.file, finding.position, what, worth)
    for rule, count in by_rule.most_common():
        print_message(f"{count:>8}  {rule}")
    if profiles and resources and not names_profile:
        print_message(f"hc-assets: {NONE_NAMED}")
    hidden = "" if show_values or not invalid else " (--show-values prints ids and what was found)"
    print_message(f"{resources} resources, {invalid} invalid{hidden}")
    if unreadable:
        raise typer.Exit(UNREADABLE)
    if invalid:
        raise typer.Exit(FINDINGS)


def _found(files: Iterable[Path], stdin: str) -> tuple[list[Iterable[Found]], int]:
    """What the arguments name, and how many of them name nothing; these are printed."""
    found: list[Iterable[Found]] = []
    missing = 0
    for path in files:
        if str(path) == stdin:
            found.append([Found(path, stdin)])
        elif path.exists():
            found.append(discover([path], Path.cwd()))
        else:
            print_message(f"hc-assets: {path}: no such file or folder")
            missing += 1
    return found, missing


def _named(finding: "Finding") -> str:
    return "/".join(filter(None, (finding.resource_type, finding.resource_id))) or "unknown"


def _print_issues(file: str, position: int | None, what: str, issues: Iterable["Issue"]) -> None:
    place = file if position is None else f"{file}:{position}"
    for issue in issues:
        typer.echo(
            f"{place}: {what}: {issue.severity} {issue.rule}"
            f" at {issue.expression or 'the whole'}: {issue.diagnostics}"
        )
