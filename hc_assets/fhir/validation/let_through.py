"""Rules that only warn where a deployment says so: what breaks them is let through, and counted.

Belongs here: which errors become warnings, and how they are told from others. Which names are rules
is in `rule_names.py`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.validation.release_issues import RULE as OTHER_RELEASE

_MARK = "let through: "
_BETWEEN = ":"


@dataclass(frozen=True)
class LetThrough:
    """The rules that only warn.

    Attributes:
        everywhere: names of rules that warn whatever the source.
        by_source: names of those that warn in resources of one source, by its name.
    """

    everywhere: frozenset[str] = frozenset()
    by_source: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[str]) -> "LetThrough":
        """Read entries of a setting, each `<rule>` or `<source>:<rule>`; see `rules_in`."""
        everywhere: set[str] = set()
        by_source: dict[str, frozenset[str]] = {}
        for entry in sorted(entries):
            source, _, rule = entry.rpartition(_BETWEEN)
            if source:
                by_source[source] = by_source.get(source, frozenset()) | {rule}
            else:
                everywhere.add(rule)
        return cls(frozenset(everywhere), by_source)

    def entries(self) -> list[str]:
        """The entries that it was read from, in order."""
        of_sources = [
            f"{source}{_BETWEEN}{rule}"
            for source, rules in self.by_source.items()
            for rule in rules
        ]
        return sorted([*self.everywhere, *of_sources])

    def applied(self, issues: list[Issue], source: str | None = None) -> list[Issue]:
        """Make warnings of the errors whose rule only warns.

        Args:
            issues: of one resource. What could not be read is not let through: `fatal` stays.
            source: that it came from; None where it has none.

        Returns:
            The issues in their order; a new list where one of them changed.
        """
        named = self.by_source.get(source) if source is not None else None
        rules = self.everywhere if named is None else self.everywhere | named
        if not rules:
            return issues
        eased = [
            msgspec.structs.replace(
                issue, severity="warning", diagnostics=f"{_MARK}{issue.diagnostics}"
            )
            if issue.severity == "error" and issue.rule in rules
            else issue
            for issue in issues
        ]
        return _without_explanations(eased)


def _without_explanations(issues: list[Issue]) -> list[Issue]:
    """Which other release has what R4 refuses is no error where nothing is refused any more."""
    if any(each.severity in ("fatal", "error") and each.rule != OTHER_RELEASE for each in issues):
        return issues
    return [
        msgspec.structs.replace(each, severity="warning") if each.severity == "error" else each
        for each in issues
    ]


NOTHING_LET_THROUGH = LetThrough()


def rules_in(entries: Iterable[str]) -> frozenset[str]:
    """The names of the rules in entries of the setting."""
    return frozenset(entry.rpartition(_BETWEEN)[2] for entry in entries)


def count_let_through(columns: Iterable[pa.Array]) -> Counter[str]:
    """Count the breaches that were let through, by rule.

    Args:
        columns: lists of issues, row by row.
    """
    counts: Counter[str] = Counter()
    for column in columns:
        issues = column.flatten()
        found = pc.starts_with(pc.struct_field(issues, "diagnostics"), _MARK)
        counts.update(pc.struct_field(issues, "rule").filter(found).to_pylist())
    return counts
