"""What is new since the last commit: which sources have changed, and whether rows can be kept.

Belongs here: comparing what a table was made from, as its commit says, with what there is now.
No rows are read or written here. Commits are in `parts.py`, the rows that they list in `tables.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from hc_assets.core.errors import EnvironmentFaultError
from hc_assets.lake.exclusions import excluded
from hc_assets.lake.layout import COMMIT_NAME, Layout
from hc_assets.lake.parts import Commit, DamagedCommitError, read_commit
from hc_assets.lake.tables import LakeTable


class ShrinkingTableError(EnvironmentFaultError):
    """A table over all batches would lose batches that are committed still."""

    advice: ClassVar[str] = (
        "where the warehouse is older than the lake, `hc-assets warehouse rebuild` brings it up to"
        " it; then run the job again"
    )


@dataclass(frozen=True)
class Changes:
    """How things that have a name and a digest differ from what they were.

    Attributes:
        new: names that there were none of.
        changed: names whose digest is another one.
        gone: names that there no longer are.
        unchanged: names with the same digest.
    """

    new: frozenset[str]
    changed: frozenset[str]
    gone: frozenset[str]
    unchanged: frozenset[str]

    def to_take_in(self) -> frozenset[str]:
        """What is to be processed: new or changed."""
        return self.new | self.changed

    def to_take_back(self) -> frozenset[str]:
        """What was processed and no longer holds: changed or gone."""
        return self.changed | self.gone


def compare(before: Mapping[str, str], present: Mapping[str, str]) -> Changes:
    """Compare digests by name.

    Args:
        before: what was processed.
        present: what there is.
    """
    common = before.keys() & present.keys()
    unchanged = frozenset(name for name in common if before[name] == present[name])
    return Changes(
        new=frozenset(present.keys() - common),
        changed=frozenset(common - unchanged),
        gone=frozenset(before.keys() - common),
        unchanged=unchanged,
    )


def reusable_commit(
    last: Commit | None, code_version: str | None, options: Mapping[str, str] | None = None
) -> Commit | None:
    """The last commit, if its rows can be kept; None where all of them must be redone.

    Args:
        last: of the table; None where there is none.
        code_version: of the table, at present.
        options: what all rows depend on besides, by the name under which the inputs hold it.
    """
    if last is None or last.code_version != code_version:
        return None
    if any(last.inputs.get(name) != value for name, value in (options or {}).items()):
        return None
    return last


@dataclass(frozen=True)
class Update:
    """What a table has to do to be of its present sources.

    Attributes:
        changes: of the sources' partitions, named `<table>` or `<table>/<batch>`, since the last
            commit whose rows can be kept; where there is none, every partition is new.
        is_rebuild: whether there is no such commit, so that all rows must be redone.
        inputs: for the commit of the table once it is of its present sources.
    """

    changes: Changes
    is_rebuild: bool
    inputs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def since(
        cls,
        last: Commit | None,
        sources: Iterable[LakeTable],
        *,
        code_version: str | None,
        options: Mapping[str, str] | None = None,
    ) -> "Update":
        """Compare the last commit of a table with its present sources.

        Args:
            last: of the table; None where there is none.
            sources: all that the table is made from, as they are.
            code_version: of the table, at present.
            options: what all rows depend on besides, by the name under which the inputs hold it.
        """
        tables = list(sources)
        present = {name: digest for each in tables for name, digest in each.digests().items()}
        kept = reusable_commit(last, code_version, options)
        before = (
            {} if kept is None else inputs_of_tables(kept.inputs, (each.table for each in tables))
        )
        return cls(compare(before, present), kept is None, present | dict(options or {}))

    def added_parts(self, source: LakeTable) -> list[str] | None:
        """Paths of the parts of a source that are new to the table.

        None where rows can't be kept: all must be redone, or a partition has changed or is gone,
        and nothing says which rows were made from it. `LakeTable.parts` has all of them verified.
        """
        if self.is_rebuild or self.changes.to_take_back():
            return None
        return [
            str(folder / part.name)
            for folder, made in source.partitions
            if made.name in self.changes.new
            for part in made.parts
        ]


def inputs_of_tables(inputs: Mapping[str, str], tables: Iterable[str]) -> dict[str, str]:
    """Digests of the partitions of some tables among the inputs of a commit, by partition."""
    names = set(tables)
    return {
        name: digest
        for name, digest in inputs.items()
        if name in names or name.rpartition("/")[0] in names
    }


def refuse_shrinking(
    layout: Layout, table: str, inputs: Iterable[str], code_version: str | None
) -> None:
    """Refuse to replace a table over all batches by one that lacks some of them.

    A batch may only leave it once its own commits are gone, or once a record says that it is left
    out (`exclusions.py`).

    Args:
        layout: where the lake is.
        table: `<group>/<asset>`, over all batches.
        inputs: names of what its new rows are made from; of batches, `<table>/<batch>`.
        code_version: of the table, at present.

    Raises:
        ShrinkingTableError: a batch that its rows were made from is left out, and stands still.
    """
    try:
        last = read_commit(layout.partition(table, None))
    except DamagedCommitError:
        return  # what it was made from, nobody knows any more
    if last is None:
        return
    kept = {batch for _, batch in _of_batches(inputs)}
    if not kept and last.code_version != code_version:
        return  # it may be made from something else now
    before = [(source, batch) for source, batch in _of_batches(last.inputs) if batch not in kept]
    refuse_lost(layout, table, before)


def refuse_lost(layout: Layout, table: str, gone: Iterable[tuple[str, str]]) -> None:
    """Refuse to take batches out of a table while they are committed.

    Args:
        layout: where the lake is.
        table: that they would be taken out of.
        gone: source and key of each batch that it was made from and would lack.

    Raises:
        ShrinkingTableError: one of them stands still, and is not recorded as left out.
    """
    allowed = excluded(layout)
    lost = sorted(
        {batch for source, batch in gone if batch not in allowed and _stands(layout, source, batch)}
    )
    if lost:
        raise ShrinkingTableError(
            f"{table} would lose {len(lost)} batches that are committed, {lost[0]} the first"
        )


def _of_batches(inputs: Iterable[str]) -> list[tuple[str, str]]:
    """Table and key of those inputs that are batches of a table."""
    named = (name.rpartition("/") for name in inputs if name.count("/") == 2)
    return [(table, batch) for table, _, batch in named]


def _stands(layout: Layout, table: str, batch: str) -> bool:
    return (layout.partition(table, batch) / COMMIT_NAME).exists()
