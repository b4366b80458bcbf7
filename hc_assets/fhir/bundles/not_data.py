"""What is valid and yet nothing to be kept as a resource: a third class beside data and invalid.

Belongs here: recognizing it, and saying so. Whether it is valid is judged where everything else is
(`fhir/validation/`).
"""

from typing import Any

import msgspec

from hc_assets.fhir.bundles.entries import Entry, Unreadable
from hc_assets.fhir.r4.issues import Issue

RULE = "not-data"
"""Rule of the issue that says so; nothing is broken."""
INVALID, NOT_DATA = "invalid", "not_data"
"""Classes of what is in quarantine."""

NO_ENTRIES = "the Bundle has no entry: there is nothing in it to be kept"
NO_RESOURCES = "the Parameters hold no resource: there is nothing in them to be kept"
_MANIFEST = "a Bulk Data manifest: it lists files and holds no resource"
_OUTCOME = "an OperationOutcome: it reports on a request and is no data"


class _Manifest(msgspec.Struct):
    transaction_time: str = msgspec.field(name="transactionTime")
    output: list[Any]


def issue_of(reason: str, expression: str = "") -> Issue:
    """Return the issue that says that something is no data.

    Args:
        reason: why.
        expression: FHIRPath of the place.
    """
    return Issue("information", "informational", expression, RULE, reason)


def data_only(entry: Entry) -> Entry:
    """Set aside what reports on a request, a search or an export: it is not to be stored."""
    if entry.problem:
        return entry
    if entry.resource_type == "OperationOutcome":
        return msgspec.structs.replace(entry, not_data=_OUTCOME)
    is_held = entry.place is not None
    if entry.resource_type is None and not is_held and is_bulk_manifest(entry.resource):
        return msgspec.structs.replace(entry, not_data=_MANIFEST)
    return entry


def is_bulk_manifest(data: bytes | None) -> bool:
    """Whether a JSON text is the manifest of a Bulk Data export."""
    if data is None or b"transactionTime" not in data:
        return False
    try:
        msgspec.json.decode(data, type=_Manifest)
    except Unreadable:
        return False
    return True
