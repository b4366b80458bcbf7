"""Manifests of Bulk Data exports: recognizing one, and what it lists.

Belongs here: reading HL7's Bulk Data Access IG, all of its versions so far, from JSON. Whether what
a manifest lists has landed is asked in `landed_exports.py`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from hc_assets.fhir.bundles.entries import Unreadable

OUTPUT, DELETED, ERROR = "output", "deleted", "error"
# Version 4 of the guide calls the files of OperationOutcomes so.
_LISTS = {OUTPUT: OUTPUT, DELETED: DELETED, ERROR: ERROR, "outcome": ERROR}


class ListedFile(NamedTuple):
    """One file that a manifest lists.

    Attributes:
        list: output, deleted or error.
        resource_type: of its resources; None where the manifest does not say.
        url: where the server has it.
        resources: how many it has; None where the manifest does not say.
    """

    list: str
    resource_type: str | None
    url: str
    resources: int | None


class BulkManifest(NamedTuple):
    """What a manifest says.

    Attributes:
        transaction_time: as of when the export is.
        request: that it answers; "" where it does not say.
        files: that it lists.
        has_next: whether a further page of the manifest follows.
    """

    transaction_time: str
    request: str
    files: tuple[ListedFile, ...]
    has_next: bool


def may_be_manifest(resource_type: str | None) -> bool:
    """Whether a JSON object may be one by its resourceType: none, or that of a logical model."""
    return resource_type is None or "/" in resource_type


def parse_manifest(data: bytes | None) -> BulkManifest | None:
    """Read a JSON text as the manifest of a Bulk Data export; None where it is none.

    Members of vendors' own are passed over, and so is whatever in the lists names no file.
    """
    if data is None or b"transactionTime" not in data:
        return None
    try:
        stated = msgspec.json.decode(data)
    except Unreadable:
        return None
    if not isinstance(stated, dict):
        return None
    time, request = stated.get("transactionTime"), stated.get("request")
    if not isinstance(time, str) or not isinstance(stated.get(OUTPUT), list):
        return None
    return BulkManifest(
        time,
        request if isinstance(request, str) else "",
        tuple(_listed(stated)),
        any(each.get("relation") == "next" for each in _objects(stated.get("link"))),
    )


def _listed(stated: dict[str, Any]) -> Iterator[ListedFile]:
    for member, name in _LISTS.items():
        for each in _objects(stated.get(member)):
            url, type_, count = (each.get(key) for key in ("url", "type", "count"))
            if isinstance(url, str):
                yield ListedFile(
                    name,
                    type_ if isinstance(type_, str) else None,
                    url,
                    count if isinstance(count, int) and not isinstance(count, bool) else None,
                )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
