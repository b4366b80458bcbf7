"""Enrichment of a record batch: what nearly all resources have in common is done to whole columns.

Belongs here: separating the ordinary resources from the others, for which `Enricher.enriched` does
all of it, and putting both into columns. An ordinary one differs from others in nothing but what
compiled code can see: it has an id, is enriched for the first time, its meta has no times,
all of its facts hold, and what the rules add to it are extensions at its end, and issues. Both ways
give the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.fhir.enrichment.addresses import OwnTarget, OwnTargets, unresolved
from hc_assets.fhir.enrichment.batch_index import (
    BatchIndex,
    Records,
    patient_facts,
    places_of,
    sex_number,
)
from hc_assets.fhir.enrichment.columns.column_rows import Flags, Rows, read_rows
from hc_assets.fhir.enrichment.columns.identifiers import identifiers_of
from hc_assets.fhir.enrichment.columns.resource_columns import (
    PLAN,
    distinct,
    joined,
    judged,
    rows_with,
)
from hc_assets.fhir.enrichment.columns.resource_texts import Numbers
from hc_assets.fhir.enrichment.columns.sources import by_source, put_together, targets_of_source
from hc_assets.fhir.enrichment.consistency import Facts, sex_coded
from hc_assets.fhir.enrichment.enricher import Enriched, Enricher
from hc_assets.fhir.enrichment.resource_meta import EnrichedMeta, content_sha256, version_in
from hc_assets.fhir.enrichment.statements import STATING
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.schemas import ENRICHED_RESOURCES
from hc_assets.fhir.validation.issue_columns import issue_lists

# The column by which a resource of a type belongs to itself.
_ITSELF = {"Patient": "patient_id", "Encounter": "encounter_id"}
_SCORES = ("quality_score", "completeness", "validity", "consistency")
_PIECES = 8  # of a resource: see `_written`


def enriched(
    validated: pa.RecordBatch,
    enricher: Enricher,
    index: BatchIndex,
    targets: Mapping[str, Mapping[str, str]],
    own: OwnTargets = unresolved,
) -> pa.RecordBatch:
    """Enrich validated rows.

    Args:
        validated: the rows.
        enricher: of the batch.
        index: of the batch.
        targets: what references stand for, by their text, by hash of the file.
        own: what absolute references to the source of a row stand for.

    Returns:
        Rows of ENRICHED_RESOURCES; a deletion passes through.
    """
    parts = [
        (
            _enriched(
                rows,
                enricher.of_source(source),
                index.of_source(source),
                targets_of_source(targets, source),
                own(source),
            ),
            places,
        )
        for source, rows, places in by_source(validated)
    ]
    return put_together(parts)


def _enriched(
    validated: pa.RecordBatch,
    enricher: Enricher,
    index: BatchIndex,
    targets: Mapping[str, Mapping[str, str]],
    own: OwnTarget,
) -> pa.RecordBatch:
    """Enrich rows of one source."""
    rows = read_rows(validated, index, targets, enricher.rules, own)
    counts = _judged(rows, index)
    is_plain = counts >= 0
    is_plain[rows.references.dangling()] = False
    is_plain &= ~rows.contradicted & rows.of_shape([s.is_open for s in rows.shapes], False)
    is_plain &= ~rows_with(enricher.signs, rows.members.texts)
    metas = _metas(rows, enricher)
    is_plain &= ~_dated_by_entry(rows, metas)
    added, noted = _added(rows, is_plain, enricher, index)
    others = {
        row: _other(rows, row, enricher, index)
        for row in np.flatnonzero(~is_plain & (rows.shape_of >= 0)).tolist()
    }
    scores, score_of = _scores(rows, counts, enricher)
    written = _written(
        rows,
        is_plain,
        metas=metas,
        scores=(scores, score_of),
        added=added,
        others=others,
    )
    made = _other_columns(
        rows, is_plain, metas=metas, scores=(scores, score_of), noted=noted, others=others
    )
    made["resource"] = written
    arrays = [
        made[field.name] if field.name in made else validated[field.name]
        for field in ENRICHED_RESOURCES
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=ENRICHED_RESOURCES)


def _judged(rows: Rows, index: BatchIndex) -> npt.NDArray[np.int32]:
    """Facts of time and sex that hold of each row; -1 where some do not, or are read in Python."""
    codes = rows.places(shape.code for shape in rows.shapes)
    first, which = distinct(rows.members.texts.buffer, codes, np.zeros(len(codes), np.int32))
    sexes = [
        sex_number(sex_coded(rows.members.texts.buffer[begin:end]))
        for begin, end in codes[first].tolist()
    ]
    plans: Records = np.array([*(shape.plan for shape in rows.shapes)], PLAN)
    return judged(
        rows.members,
        plan_of=rows.shape_of,
        plans=plans,
        patient_of=_places(rows.validated["patient_id"], index, index.patients),
        patients=index.patients,
        encounter_of=_places(rows.validated["encounter_id"], index, index.encounters),
        encounters=index.encounters,
        sex_of_code=np.array([*sexes, 0], np.uint8)[which],
    )


def _places(ids: pa.Array, index: BatchIndex, known: Records) -> Numbers:
    named = ids.dictionary_encode()
    keys = [index.key_of(each) for each in named.dictionary.to_pylist()]
    places = np.array([*places_of(known, keys), -1], np.int64)
    which = pc.fill_null(named.indices, len(places) - 1).to_numpy()
    found: Numbers = places[which]
    return found


class _Metas(NamedTuple):
    """The different metas of a column, the last for rows without one, and which each row has."""

    different: list[EnrichedMeta]
    of_row: Numbers
    places: Numbers


def _metas(rows: Rows, enricher: Enricher) -> _Metas:
    places = rows.places(shape.meta for shape in rows.shapes)
    buffer = rows.members.texts.buffer
    first, which = distinct(buffer, places, np.zeros(len(places), np.int32))
    found = [enricher.meta.of(buffer[begin:end]) for begin, end in places[first].tolist()]
    return _Metas([*found, enricher.meta.alone], which, places)


def _dated_by_entry(rows: Rows, metas: _Metas) -> Flags:
    """Whether it is each row's entry, and not its meta, that says when it was updated."""
    is_dated = pc.is_valid(rows.validated["last_modified"])
    dated: Flags = np.array(is_dated.to_numpy(zero_copy_only=False))
    if not dated.any():
        return dated
    states_time = np.array([each.states_time for each in metas.different])
    dated &= ~states_time[metas.of_row % len(metas.different)]
    return dated


def _added(
    rows: Rows, is_plain: Flags, enricher: Enricher, index: BatchIndex
) -> tuple[dict[int, bytes], dict[int, Sequence[Issue]]]:
    """What rules add at the end of plain rows, and their issues of these.

    A row to which they add more is not plain.
    """
    added, noted = {}, {}
    ruled = is_plain & rows.of_shape([bool(shape.rules) for shape in rows.shapes], False)
    of_these = np.flatnonzero(ruled)
    chosen = rows.validated.select(["patient_id", "encounter_id"]).take(pa.array(of_these))
    patients, encounters = (column.to_pylist() for column in chosen.columns)
    offsets, buffer = rows.members.texts.offsets, rows.members.texts.buffer
    shapes = rows.shape_of[of_these].tolist()
    for row, number, patient_id, encounter_id in zip(
        of_these.tolist(), shapes, patients, encounters, strict=True
    ):
        shape = rows.shapes[number]
        facts = Facts(
            index.patient(patient_id) if patient_id else None,
            index.encounter(encounter_id) if encounter_id else None,
        )
        text = buffer[offsets[row] : offsets[row + 1]]
        found = enricher.added(shape.rules, shape.type, text, facts)
        if found.of_elements:
            is_plain[row] = False
            continue
        if found.extensions:
            added[row] = b',"extension":[%b]' % b",".join(found.extensions)
        if found.issues:
            noted[row] = found.issues
    return added, noted


def _other(rows: Rows, row: int, enricher: Enricher, index: BatchIndex) -> Enriched:
    """Enrich one resource by itself."""
    resource = rows.members.resource(row)
    patient_id = rows.validated["patient_id"][row].as_py()
    encounter_id = rows.validated["encounter_id"][row].as_py()
    patient = index.patient(patient_id) if patient_id else None
    if rows.types[row] == "Patient":
        patient = patient_facts(resource.text)
    facts = Facts(
        patient,
        index.encounter(encounter_id) if encounter_id else None,
        rows.references.judged_of_row(row),
        bool(rows.contradicted[row]) if rows.types[row] in STATING else None,
    )
    id_ = None if resource.raw("id") else rows.known_id(row)
    modified = rows.validated["last_modified"][row].as_py()
    return enricher.enriched(resource, int(rows.warnings[row]), id_, facts, modified)


Scores = list[tuple[tuple[float | None, ...], bytes]]


def _scores(
    rows: Rows, counts: npt.NDArray[np.int32], enricher: Enricher
) -> tuple[Scores, Numbers]:
    """The different scores of rows of which every fact holds, and which of them each has."""
    local = rows.references.counts_judged(len(counts))
    states = rows.of_shape([shape.type in STATING for shape in rows.shapes], False)
    is_judged = (counts + local + states) > 0
    key = (rows.warnings * (len(rows.shapes) + 1) + rows.shape_of) * 2 + is_judged
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    found: Scores = []
    for row in first.tolist():
        if rows.shape_of[row] < 0:
            found.append(((None,) * len(_SCORES), b""))
            continue
        share = 1.0 if is_judged[row] else None
        shape = rows.shapes[rows.shape_of[row]]
        found.append(enricher.scored(shape.type, shape.names, int(rows.warnings[row]), share))
    return found, which


def _written(
    rows: Rows,
    is_plain: Flags,
    *,
    metas: _Metas,
    scores: tuple[Scores, Numbers],
    added: Mapping[int, bytes],
    others: Mapping[int, Enriched],
) -> pa.Array:
    """Put the resources together.

    Of a plain one: what precedes its meta; what is added, where it has no meta; what is
    before the score; the score; what follows it; the rest; what is added, where it has a
    meta; its end.
    """
    texts = rows.members.texts
    found, score_of = scores
    made = [b"}", *added.values(), *(each.resource for each in others.values())]
    of_metas = len(made)
    made += [part for each in metas.different for part in (each.before, each.after)]
    # A resource without a meta gets all of it, as a member.
    made[-2] = b',"meta":' + made[-2]
    of_scores = len(made)
    made += [score_text for _, score_text in found]
    ends = np.cumsum([0, *map(len, made)], dtype=np.int64)
    places = np.stack([ends[:-1], ends[1:]], axis=1)

    pieces = np.zeros((len(is_plain), _PIECES, 3), np.int64)
    pieces[:, [1, 2, 3, 4, 6, 7], 0] = 1
    plain = np.flatnonzero(is_plain)
    begin, end = metas.places[plain].T
    has_meta, last = begin >= 0, texts.offsets[1:][plain] - 1
    before = of_metas + 2 * (metas.of_row[plain] % len(metas.different))
    pieces[plain, 0, 1] = texts.offsets[:-1][plain]
    pieces[plain, 0, 2] = np.where(has_meta, begin, last)
    pieces[plain, 2, 1:] = places[before]
    pieces[plain, 3, 1:] = places[of_scores + score_of[plain]]
    pieces[plain, 4, 1:] = places[before + 1]
    pieces[plain, 5, 1] = np.where(has_meta, end, last)
    pieces[plain, 5, 2] = last
    pieces[plain, 7, 1:] = places[0]
    kept = [(number, row) for number, row in enumerate(added, start=1) if is_plain[row]]
    if kept:
        numbers, of_rows = np.array(kept).T
        pieces[of_rows, np.where(metas.places[of_rows, 0] < 0, 1, 6), 1:] = places[numbers]
    if others:
        of_rows = np.array(list(others))
        pieces[of_rows, 0, 0] = 1
        pieces[of_rows, 0, 1:] = places[1 + len(added) + np.arange(len(others))]
    return joined([texts.buffer, b"".join(made)], pieces, rows.absent)


def _other_columns(
    rows: Rows,
    is_plain: Flags,
    *,
    metas: _Metas,
    scores: tuple[Scores, Numbers],
    noted: Mapping[int, Sequence[Issue]],
    others: Mapping[int, Enriched],
) -> dict[str, pa.Array]:
    """All columns that enrichment makes, but the resource."""
    count, absent = len(is_plain), rows.absent
    columns = {
        "literal_references": rows.references.literal(count, absent),
        "conditional_references": rows.references.conditional(count, absent),
        "absolute_references": rows.references.absolute(count, absent),
        "content_sha256": pa.array(_hashes(rows, is_plain, metas, others), pa.string()),
        "identifiers": identifiers_of(rows),
    }
    found, score_of = scores
    for place, name in enumerate(_SCORES):
        values: list[Any] = [each[place] for each, _ in found]
        listed = pa.array(values, pa.float64()).take(pa.array(score_of))
        changed = {row: getattr(each, name) for row, each in others.items()}
        columns[name] = _changed(pc.if_else(absent, None, listed), changed)
    type_ = ENRICHED_RESOURCES.field("last_updated").type
    last_updated = pa.array([each.last_updated for each in metas.different], type_)
    of_row = metas.of_row % len(metas.different)
    of_absent = pc.fill_null(rows.validated["last_modified"].cast(type_), last_updated[-1])
    times = pc.if_else(absent, of_absent, last_updated.take(pa.array(of_row)))
    columns["last_updated"] = _changed(times, {r: e.last_updated for r, e in others.items()})
    columns |= _order_columns(rows, metas)
    ids = {row: each.resource_id for row, each in others.items()}
    columns["resource_id"] = _changed(rows.validated["resource_id"], ids)
    for type_, name in _ITSELF.items():
        # Which it may have got just now.
        own = {row: id_ for row, id_ in ids.items() if rows.types[row] == type_}
        columns[name] = _changed(rows.validated[name], own)
    issues: list[Any] = [None if is_absent else () for is_absent in absent.to_pylist()]
    for row, found_issues in noted.items():
        issues[row] = found_issues
    for row, each in others.items():
        issues[row] = each.issues
    for row, kept in rows.links_kept.items():
        issues[row] = [*issues[row], *kept]
    columns["issues"] = issue_lists(issues)
    return columns


def _order_columns(rows: Rows, metas: _Metas) -> dict[str, pa.Array]:
    """What puts versions of one time in order."""
    of_row = pa.array(metas.of_row % len(metas.different))
    digits = pa.array([each.digits for each in metas.different], pa.string()).take(of_row)
    versions = pa.array([each.version for each in metas.different], pa.string()).take(of_row)
    is_dated = pc.or_(pa.array(_dated_by_entry(rows, metas)), rows.absent)
    of_entry = pc.fill_null(rows.validated["last_modified_digits"], "")
    return {
        "last_updated_digits": pc.if_else(is_dated, of_entry, digits),
        "stated_version": pc.coalesce(versions, version_in(rows.validated["response_etag"])),
    }


def _changed(column: pa.Array, changed: Mapping[int, Any]) -> pa.Array:
    if not changed:
        return column
    mask = np.zeros(len(column), bool)
    mask[list(changed)] = True
    values = pa.array([changed[row] for row in sorted(changed)], column.type)
    return pc.replace_with_mask(column, pa.array(mask), values)


def _hashes(
    rows: Rows, is_plain: Flags, metas: _Metas, others: Mapping[int, Enriched]
) -> list[str | None]:
    offsets, text = rows.members.texts.offsets.tolist(), memoryview(rows.members.texts.buffer)
    # Of the member before the meta; -1 where there is none.
    before = rows.of_shape([max(shape.meta - 1, -1) for shape in rows.shapes], -1)
    ends_before = rows.members.values_at(before)[:, 1].tolist()
    places, of_row = metas.places.tolist(), metas.of_row.tolist()
    hashes: list[str | None] = [None] * len(is_plain)
    for row in np.flatnonzero(is_plain).tolist():
        start = offsets[row]
        own, (begin, end) = text[start : offsets[row + 1]], places[row]
        place = (begin - start, end - start) if begin >= 0 else None
        end_before, content = max(ends_before[row] - start, 0), metas.different[of_row[row]].content
        hashes[row] = content_sha256(own, place, end_before, content)
    for row, each in others.items():
        hashes[row] = each.content_sha256
    return hashes
