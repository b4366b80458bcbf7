"""A record batch of validated rows, and what its resources have in common.

Belongs here: finding members, references and shapes of a whole column. What is made of them is in
`enrich.py`.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.fhir.bundles.requests import IDENTITY, known_id
from hc_assets.fhir.enrichment.addresses import OwnTarget
from hc_assets.fhir.enrichment.batch_index import BatchIndex
from hc_assets.fhir.enrichment.columns.batch_references import References, resolved
from hc_assets.fhir.enrichment.columns.bundle_links import BundleLinks, links_replaced
from hc_assets.fhir.enrichment.columns.resource_columns import PLAN
from hc_assets.fhir.enrichment.columns.resource_texts import (
    Members,
    Names,
    Numbers,
    compacted,
    members_in,
)
from hc_assets.fhir.enrichment.consistency import stated_by
from hc_assets.fhir.enrichment.quality import BEST_PRACTICE
from hc_assets.fhir.enrichment.rules import Rule, rules_for
from hc_assets.fhir.enrichment.statements import STATING
from hc_assets.fhir.r4.issues import Issue

_CACHED = 16_384
Flags = npt.NDArray[np.bool_]
# Judged by what they say themselves; the batch may hold another version of them.
_ONE_BY_ONE = frozenset({"Patient"})


class Shape(NamedTuple):
    """What resources of one type, with members of the same names in the same order, share.

    Attributes:
        type: resourceType.
        names: of the members.
        plan: places of members with times, of the type PLAN.
        code: place of the code that can be of one sex; -1 where it has none.
        meta: place of meta, or -1.
        identifier: place of identifier, or -1.
        is_open: whether its resources can be ordinary, as far as the shape says.
        rules: of enrichment that apply to them.
    """

    type: str
    names: Names
    plan: Any
    code: int
    meta: int
    identifier: int
    is_open: bool
    rules: tuple[Rule, ...]


@lru_cache(maxsize=_CACHED)
def _shape(type_: str, names: Names, rules: tuple[Rule, ...]) -> Shape:
    stated = stated_by(type_, names)
    plan = np.full((), -1, np.int32).astype(PLAN)
    plan["pairs"][: len(stated.pairs)] = [pair[:2] for pair in stated.pairs] or -1
    for name in ("periods", "in_life", "in_encounter"):
        places = [place for place, _ in getattr(stated, name)]
        plan[name][: len(places)] = places
    applied = rules_for(rules, type_, names)
    # What is added to these is not all at the end.
    amended = {"extension"}.union(*(rule.elements for rule in applied))
    is_amended = bool(applied) and not amended.isdisjoint(names.places)
    return Shape(
        type_,
        names,
        plan,
        stated.code[0] if stated.code is not None else -1,
        names.places.get("meta", -1),
        names.places.get("identifier", -1),
        "id" in names.places and type_ not in _ONE_BY_ONE and not is_amended,
        applied,
    )


class Rows(NamedTuple):
    """A record batch of validated rows, and what was found in it.

    Attributes:
        validated: the rows.
        absent: of each row, whether it has no resource.
        types: resourceType of each.
        warnings: of the validator, best practice aside, of each.
        members: of the resources, their references and links resolved.
        references: of the resources.
        shapes: the different ones.
        shape_of: number of each row's shape; -1 where it is absent.
        contradicted: whether another resource says otherwise.
        links_kept: issues of elements that keep the address of an entry, by the row's number.
    """

    validated: pa.RecordBatch
    absent: pa.Array
    types: list[str]
    warnings: npt.NDArray[np.int64]
    members: Members
    references: References
    shapes: list[Shape]
    shape_of: npt.NDArray[np.int32]
    contradicted: Flags
    links_kept: dict[int, list[Issue]]

    def of_shape(self, values: Iterable[Any], otherwise: Any) -> npt.NDArray[Any]:
        """What each row's shape has; otherwise for those that are absent."""
        return np.array([*values, otherwise])[self.shape_of]

    def places(self, of_shape: Iterable[int]) -> Numbers:
        """Where the value of a member begins and ends in the texts; -1 where there is none."""
        return self.members.values_at(self.of_shape(of_shape, -1))

    def known_id(self, row: int) -> str | None:
        """The id that a resource goes by, known without looking into it."""
        return known_id({name: self.validated[name][row].as_py() for name in IDENTITY})


def read_rows(
    validated: pa.RecordBatch,
    index: BatchIndex,
    targets: Mapping[str, Mapping[str, str]],
    rules: tuple[Rule, ...],
    own: OwnTarget,
) -> Rows:
    """Read validated rows.

    Args:
        validated: the rows.
        index: of the batch.
        targets: what references stand for, by their text, by hash of the file.
        rules: of enrichment.
        own: what absolute references to the same source stand for.
    """
    texts, references = resolved(
        compacted(validated["resource"]), validated["source_sha256"], targets, index, own
    )
    links = {file: BundleLinks(of_file) for file, of_file in targets.items()}
    is_requested = validated["request_method"].is_valid().to_pylist()
    files = validated["source_sha256"].to_pylist()
    of_rows = [links[file] if is_ else None for file, is_ in zip(files, is_requested, strict=True)]
    linked, links_kept = links_replaced(texts, of_rows)
    members = members_in(linked)
    absent = pc.is_null(validated["resource"])
    types = validated["resource_type"].to_pylist()
    named = validated["resource_type"].dictionary_encode()
    kinds = pc.fill_null(named.indices, -1).to_numpy()
    both = members.alike.astype(np.int64) * (len(named.dictionary) + 1) + kinds
    both[absent.to_numpy(zero_copy_only=False)] = -1
    _, first, shape_of = np.unique(both, return_index=True, return_inverse=True)
    is_absent = both[first] < 0
    shapes = [
        _shape(types[row], members.shapes[int(members.alike[row])], rules)
        for row in first[~is_absent].tolist()
    ]
    shape_of = (shape_of - is_absent.sum()).astype(np.int32)
    rows = Rows(
        validated,
        absent,
        types,
        _warnings(validated),
        members,
        references,
        shapes,
        shape_of,
        np.zeros(len(types), bool),
        links_kept,
    )
    states = np.flatnonzero(rows.of_shape([shape.type in STATING for shape in shapes], False))
    ids = validated["resource_id"].take(pa.array(states)).to_pylist()
    keys = [
        index.key_of(f"{types[row]}/{id_ or rows.known_id(row)}")
        for row, id_ in zip(states.tolist(), ids, strict=True)
    ]
    rows.contradicted[states] = index.are_contradicted(keys)
    return rows


def _warnings(rows: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """How many warnings each row has, best practice aside."""
    column = rows["warnings"]
    rules = pc.struct_field(column.flatten(), "rule")
    counts = pc.invert(pc.is_in(rules, pa.array(sorted(BEST_PRACTICE), pa.string())))
    parents = pc.list_parent_indices(column).filter(counts)
    return np.bincount(parents.to_numpy(), minlength=rows.num_rows)
