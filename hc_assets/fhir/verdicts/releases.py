"""How much of a batch is of another release of FHIR: the evaluator behind its check.

Belongs here: counting and judging. Which release a resource is of is found in
`fhir/validation/release_issues.py`; types and members of HL7 are no patient's words, so all of it
may be shown.
"""

from collections import Counter
from collections.abc import Mapping

import pyarrow.compute as pc

from hc_assets.core.verdicts import Verdict
from hc_assets.fhir.validation.release_issues import RULE, label_of
from hc_assets.fhir.verdicts.batches import classes_of
from hc_assets.lake.tables import LakeTable


def entries_by_release(
    table: LakeTable, column: str, *, of_class: str | None = None
) -> Counter[str]:
    """Count the entries that look like another release, by its name: `R5`, `R4B or R5`.

    Args:
        table: of entries with their issues.
        column: that holds the issues.
        of_class: of entries in quarantine, count only this one's; None for a table without classes.
    """
    counts: Counter[str] = Counter()
    for read in table.batches([column] if of_class is None else [column, "class"]):
        batch = read
        if of_class is not None:
            batch = read.filter(pc.equal(classes_of(read), of_class))
        issues = batch[column].flatten()
        is_ours = pc.equal(pc.struct_field(issues, "rule"), RULE)
        rows = pc.list_parent_indices(batch[column]).filter(is_ours).to_pylist()
        of_row: dict[int, Counter[str]] = {}
        for row, issue in zip(rows, issues.filter(is_ours).to_pylist(), strict=True):
            label = label_of(issue)
            if label is not None:
                of_row.setdefault(row, Counter())[label] += 1
        counts.update(found.most_common(1)[0][0] for found in of_row.values())
    return counts


def none_of_another_release(
    refused: Mapping[str, int], total: int, valid: Mapping[str, int]
) -> Verdict:
    """Judge that what R4 refuses is not of another release.

    Args:
        refused: how many refused entries look like which release.
        total: how many entries are refused.
        valid: how many valid ones name which release.

    Returns:
        A verdict whose value is the share of the refused that look like another release; only 0
        passes.
    """
    count = sum(refused.values())
    text = f"{count} of {total} refused entries look like another release than R4"
    if count:
        text += f" ({_listed(refused)})"
    if valid:
        text += f"; valid entries that name one: {_listed(valid)}"
    return Verdict(
        passed=count == 0,
        value=count / total if total else 0.0,
        threshold=0.0,
        explanation=text,
        counts={f"refused {name}": number for name, number in _ranked(refused)}
        | {f"valid {name}": number for name, number in _ranked(valid)},
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in _ranked(counts))


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
