"""What is valid and yet nothing to be kept as a resource: a third class beside data and invalid.

Belongs here: recognizing it, and saying so. Whether it is valid is judged where everything else is
(`fhir/validation/`).
"""

import msgspec

from hc_assets.fhir.bundles.bulk_manifests import may_be_manifest, parse_manifest
from hc_assets.fhir.bundles.entries import Entry, Unreadable
from hc_assets.fhir.r4.issues import Issue

RULE = "not-data"
"""Rule of the issue that says so; nothing is broken."""
INVALID, NOT_DATA = "invalid", "not_data"
"""Classes of what is in quarantine."""

NO_ENTRIES = "the Bundle has no entry: there is nothing in it to be kept"
NO_RESOURCES = "the Parameters hold no resource: there is nothing in them to be kept"
MANIFEST = "a Bulk Data manifest: it lists files and holds no resource"
_LOG = "a line of a Bulk Data client's log: it reports on an export and is no data"
_OUTCOME = "an OperationOutcome: it reports on a request and is no data"


class _LogLine(msgspec.Struct):
    """Of the log that clients of Bulk Data keep beside what they fetch."""

    export_id: str = msgspec.field(name="exportId")
    event_id: str = msgspec.field(name="eventId")


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
    if not is_held and may_be_manifest(entry.resource_type):
        if parse_manifest(entry.resource) is not None:
            # Newer ones have the address of a logical model there.
            return msgspec.structs.replace(entry, not_data=MANIFEST, resource_type=None)
        if _is_log_line(entry.resource):
            return msgspec.structs.replace(entry, not_data=_LOG)
    return entry


def _is_log_line(data: bytes | None) -> bool:
    if data is None or b'"exportId"' not in data:
        return False
    try:
        msgspec.json.decode(data, type=_LogLine)
    except Unreadable:
        return False
    return True
