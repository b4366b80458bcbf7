"""The references of a column of resources: resolved, deduplicated, and what they lead to.

Belongs here: doing for many at once what `fhir/references.py` does for one. The same few references
come again and again, so that each is read once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hc_assets.fhir.enrichment.addresses import OwnTarget, nowhere
from hc_assets.fhir.enrichment.batch_index import BatchIndex
from hc_assets.fhir.enrichment.columns.resource_columns import distinct, replaced, rows_with
from hc_assets.fhir.enrichment.columns.resource_texts import Compact, Numbers, Texts, text_of
from hc_assets.fhir.link_elements import SIGNS_OF_OTHERS
from hc_assets.fhir.references import (
    absolute_references,
    conditional_references,
    encoded,
    local_targets,
    others_among,
)

_URN = "urn:"
Flags = npt.NDArray[np.bool_]


class References(NamedTuple):
    """References of a column of resources.

    Attributes:
        rows: number of the resource of each, in order.
        which: of each, its number among the different ones.
        texts: what the different ones say.
        targets: `<type>/<id>` or URN of those that a batch can hold, or None.
        are_known: whether the batch holds that.
        are_judged: whether the batch can decide. It can't where it is no URN, which only a bundle
            resolves, and the batch has nothing of the type: such resources are kept in another one.
    """

    rows: Numbers
    which: Numbers
    texts: list[str]
    targets: list[str | None]
    are_known: Flags
    are_judged: Flags

    def of_row(self, row: int) -> list[int]:
        """Numbers of a resource's references, among the different ones."""
        begin, end = np.searchsorted(self.rows, [row, row + 1])
        numbers: list[int] = self.which[begin:end].tolist()
        return numbers

    def judged_of_row(self, row: int) -> list[tuple[str, bool]]:
        """A resource's targets that the batch can judge, and whether it holds each."""
        found = [(self.targets[n], n) for n in self.of_row(row) if self.are_judged[n]]
        return [(target, bool(self.are_known[n])) for target, n in found if target is not None]

    def counts_judged(self, rows: int) -> Numbers:
        """How many references of each resource the batch can judge."""
        return np.bincount(self.rows[self.are_judged[self.which]], minlength=rows)

    def dangling(self) -> Numbers:
        """Numbers of the resources of which a reference leads nowhere."""
        return self.rows[(self.are_judged & ~self.are_known)[self.which]]

    def literal(self, rows: int, absent: pa.Array) -> pa.Array:
        """The targets of each resource as a column of lists, null where a resource is absent."""
        local = np.array([target is not None for target in self.targets], bool)[self.which]
        values = pa.array(self.targets, pa.string()).take(pa.array(self.which[local]))
        return _lists(self.rows[local], rows, values, absent)

    def conditional(self, rows: int, absent: pa.Array) -> pa.Array:
        """Each resource's references that are queries, each once, as such a column."""
        return self._each_once(conditional_references, rows, absent)

    def absolute(self, rows: int, absent: pa.Array) -> pa.Array:
        """Each resource's references to other servers, each once, as such a column."""
        return self._each_once(absolute_references, rows, absent)

    def _each_once(
        self, chosen: Callable[[list[str]], list[str]], rows: int, absent: pa.Array
    ) -> pa.Array:
        is_chosen = [bool(chosen([text])) for text in self.texts]
        of_these = np.flatnonzero(np.array(is_chosen, bool)[self.which])
        pairs = dict.fromkeys(
            (row, self.texts[number])
            for row, number in zip(
                self.rows[of_these].tolist(), self.which[of_these].tolist(), strict=True
            )
        )
        values = pa.array([text for _, text in pairs], pa.string())
        return _lists(np.array([row for row, _ in pairs], np.int64), rows, values, absent)


def _lists(of_rows: Numbers, rows: int, values: pa.Array, absent: pa.Array) -> pa.Array:
    counts = np.bincount(of_rows, minlength=rows)
    ends = np.cumsum([0, *counts], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), values, mask=absent)


def resolved(
    compact: Compact,
    files: pa.Array,
    targets: Mapping[str, Mapping[str, str]],
    index: BatchIndex,
    own: OwnTarget = nowhere,
) -> tuple[Texts, References]:
    """Resolve the references of resources, as `references.resolve` does.

    Args:
        compact: the resources.
        files: hash of the file that brought each.
        targets: what a `Reference.reference` stands for, by its text, by hash of the file.
        index: of the batch and the source, which says what it holds.
        own: of the source, for addresses that no entry of the file has.

    Returns:
        The resources with those references replaced, and every other byte as it was; and their
        references, after that.
    """
    compact = _without_others(compact)
    named = files.dictionary_encode()
    of_file = [targets[file] for file in named.dictionary.to_pylist()]
    rows = compact.references[:, 0]
    groups = named.indices.to_numpy()[rows]
    buffer = compact.texts.buffer
    first, which = distinct(buffer, compact.references[:, 1:], groups)
    texts: list[str] = []
    new: list[bytes] = []
    numbers = np.full(len(first), -1, np.int64)
    places = compact.references[first, 1:].tolist()
    for number, (group, (begin, end)) in enumerate(
        zip(groups[first].tolist(), places, strict=True)
    ):
        text = text_of(buffer[begin - 1 : end + 1])
        target = of_file[group].get(text) or own(text)
        if target is not None:
            numbers[number] = len(new)
            new.append(encoded(target))
            text = target
        texts.append(text)
    local = [(local_targets((text,)) or (None,))[0] for text in texts]
    known, judged = _judged(local, index)
    written = replaced(compact.texts, compact.references, numbers[which], new) if new else None
    return written or compact.texts, References(rows, which, texts, local, known, judged)


def _without_others(compact: Compact) -> Compact:
    """Leave out what is named as a reference, and is a uri."""
    texts, places = compact
    left_out: list[int] = []
    for row in np.flatnonzero(rows_with(SIGNS_OF_OTHERS, texts)).tolist():
        begin, end = np.searchsorted(places[:, 0], [row, row + 1]).tolist()
        if begin < end:
            text = texts.buffer[slice(*texts.offsets[row : row + 2])]
            left_out += [begin + number for number in others_among(text, end - begin)]
    return Compact(texts, np.delete(places, left_out, axis=0)) if left_out else compact


def _judged(targets: Sequence[str | None], index: BatchIndex) -> tuple[Flags, Flags]:
    """Whether the batch holds each target, and whether it can decide."""
    named = [target for target in targets if target is not None]
    numbers = [number for number, target in enumerate(targets) if target is not None]
    known = np.zeros(len(targets), bool)
    known[numbers] = index.are_known([index.key_of(target) for target in named])
    types = {target.partition("/")[0] for target in named if not target.startswith(_URN)}
    held = dict(zip(types, index.are_known([index.key_of(each) for each in types]), strict=True))
    is_decidable = [
        target is not None and (target.startswith(_URN) or held[target.partition("/")[0]])
        for target in targets
    ]
    return known, known | np.array(is_decidable, bool)
