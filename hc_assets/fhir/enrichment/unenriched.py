"""What becomes of a row whose enrichment fails or breaks it: it goes on as sent, with the reason.

Belongs here: columns of such a row, worked out by as little as possible, so that this can't fail
for what failed before. What the batch says of its references and identifiers stays unknown.
"""

import hashlib
from datetime import datetime
from typing import Any

import pyarrow as pa

from hc_assets.core.fence import InternalError, fenced
from hc_assets.fhir.bundles.requests import IDENTITY, known_id
from hc_assets.fhir.enrichment.batch_index import Failures
from hc_assets.fhir.enrichment.elements import decode_stamped
from hc_assets.fhir.enrichment.resource_meta import version_in
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.schemas import ENRICHED_RESOURCES
from hc_assets.fhir.times import finer_digits, moment_of
from hc_assets.fhir.validation.issue_columns import issue_lists
from hc_assets.fhir.validation.problems import internal_error

_MADE_ID_LENGTH = 32
_WHITE_SPACE = b" \t\r\n"
# When it was updated, digits finer than that, and its version, as its meta says.
_Stated = tuple[datetime | None, str, str | None]
_UNSTATED: _Stated = (None, "", None)
_ITSELF = {"Patient": "patient_id", "Encounter": "encounter_id"}


def unenriched(row: pa.RecordBatch, failure: InternalError, landed_at: datetime) -> pa.RecordBatch:
    """Return a validated row as one of ENRICHED_RESOURCES that nothing was added to.

    Args:
        row: one of VALIDATED_RESOURCES, or none.
        failure: of its enrichment, which is among its issues then.
        landed_at: when its batch landed, UTC.
    """
    return _as_sent(row, landed_at, [internal_error(failure, "warning")])


def as_sent(row: pa.RecordBatch, landed_at: datetime) -> pa.RecordBatch:
    """Return a validated row as one of ENRICHED_RESOURCES that nothing was added to.

    Args:
        row: one of VALIDATED_RESOURCES.
        landed_at: when its batch landed, UTC.

    Returns:
        The row with its resource byte for byte, but for line breaks between its tokens, which no
        NDJSON may have; with an id by which it is known, the time and a hash of its content, and
        without issues.
    """
    return _as_sent(row, landed_at, [])


def _as_sent(row: pa.RecordBatch, landed_at: datetime, issues: list[Issue]) -> pa.RecordBatch:
    listed = [_columns(each, landed_at) for each in row.to_pylist()]
    of_rows = issue_lists([issues for _ in listed])
    arrays = [
        of_rows
        if field.name == "issues"
        else pa.array([each.get(field.name) for each in listed], field.type)
        for field in ENRICHED_RESOURCES
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=ENRICHED_RESOURCES)


def _columns(row: dict[str, Any], landed_at: datetime) -> dict[str, Any]:
    sent: bytes | None = row["resource"]
    made: dict[str, Any] = {
        "last_updated_digits": row["last_modified_digits"] or "",
        "stated_version": version_in(pa.array([row["response_etag"]], pa.string()))[0].as_py(),
    }
    if sent is None:
        return row | made | {"last_updated": row["last_modified"] or landed_at}
    line = sent.strip(_WHITE_SPACE).replace(b"\r", b" ").replace(b"\n", b" ")
    content = hashlib.sha256(line).hexdigest()
    known = fenced(known_id, {name: row[name] for name in IDENTITY})
    id_ = content[:_MADE_ID_LENGTH] if isinstance(known, InternalError) or not known else known
    stated = fenced(_stated_time, sent)
    if isinstance(stated, InternalError):
        stated = _UNSTATED
    moment, digits, version = stated
    if moment is not None:
        made["last_updated_digits"] = digits
    if version is not None:
        made["stated_version"] = version
    made |= {
        "resource": line,
        "resource_id": id_,
        "content_sha256": content,
        "last_updated": moment or row["last_modified"] or landed_at,
        "literal_references": [],
        "identifiers": [],
        "conditional_references": [],
        "absolute_references": [],
    }
    itself = _ITSELF.get(row["resource_type"])
    return row | made | ({itself: id_} if itself else {})


def _stated_time(resource: bytes) -> _Stated:
    meta = decode_stamped(resource).meta
    if meta is None:
        return _UNSTATED
    moment = moment_of(meta.last_updated)
    if moment is not None and moment.tzinfo is None:
        moment = None
    return moment, finer_digits(meta.last_updated), meta.version_id


def with_failures(rows: pa.RecordBatch, failures: Failures) -> pa.RecordBatch:
    """Add to enriched rows the failures of gathering what they say of the batch.

    Args:
        rows: of ENRICHED_RESOURCES.
        failures: of the batch.
    """
    if not failures:
        return rows
    entries = zip(rows["source_sha256"].to_pylist(), rows["position"].to_pylist(), strict=True)
    found = {number: failures[each] for number, each in enumerate(entries) if each in failures}
    if not found:
        return rows
    issues = rows["issues"].to_pylist()
    for number, failure in found.items():
        (issue,) = issue_lists([[internal_error(failure, "warning")]]).to_pylist()[0]
        issues[number] = [*(issues[number] or []), issue]
    place = rows.schema.get_field_index("issues")
    field = ENRICHED_RESOURCES.field("issues")
    return rows.set_column(place, field, pa.array(issues, field.type))
