"""What a Bundle entry's request asks for, and which resource it means.

Belongs here: the methods of R4's transactions, batches and histories (R4 http, section transaction
and batch), read as instructions to a store that keeps versions. Reading the entries is in
`read.py`; what becomes of an instruction is in `fhir/versions/apply.py`.
"""

import hashlib
import re
from collections.abc import Mapping

from hc_assets.fhir.bundles.sources import address
from hc_assets.fhir.r4.references import names_another
from hc_assets.fhir.references import uuid_of

_CRITERIA = re.compile(r"([A-Z][A-Za-z]*)\?(.+)", re.DOTALL)
_METHODS = frozenset({None, "POST", "PUT", "DELETE", "GET", "HEAD", "PATCH"})
_MADE_ID_LENGTH = 32
IDENTITY = (
    "resource_type",
    "resource_id",
    "full_url",
    "request_method",
    "request_url",
    "request_if_none_exist",
)


def deleted(url: str | None) -> tuple[str, str] | None:
    """Type and id that a DELETE names; None where it names them by a query or not at all.

    Whether a server or path before them is a known one is judged in `validation/deletions.py`.
    """
    named = address(url)
    return (named.resource_type, named.resource_id) if named else None


def requested_id(method: str | None, url: str | None) -> str | None:
    """The id that a PUT's url names; None for any other request."""
    named = address(url) if method == "PUT" else None
    return named.resource_id if named else None


def set_aside(method: str | None, url: str | None) -> str | None:
    """Return why what an entry carries is no data, though its request is one that R4 knows.

    Args:
        method: Bundle.entry.request.method; None where there is no request.
        url: Bundle.entry.request.url.

    Returns:
        The reason, free of patient data; None where the entry's resource may be stored.
    """
    if method in ("GET", "HEAD"):
        return f"Bundle.entry.request.method is {method}: it asks for something and stores nothing"
    if method == "PATCH":
        # Parameters, or a Binary with JSON Patch.
        return "Bundle.entry.request.method is PATCH: it carries changes and no resource"
    if url and "$" in url:
        return "Bundle.entry.request.url calls an operation, whose input is no data"
    return None


def refusal(
    method: str | None, url: str | None, resource_type: str | None, resource_id: str | None
) -> str | None:
    """Return what is wrong with an entry's request.

    Args:
        method: Bundle.entry.request.method; None where there is no request.
        url: Bundle.entry.request.url.
        resource_type: of the entry's resource.
        resource_id: of the entry's resource.

    Returns:
        The reason, free of patient data; None where the resource may be stored.
    """
    if method not in _METHODS:
        return "Bundle.entry.request.method is a method that R4 does not know"
    if method == "PUT" and names_another(url or "", resource_type, resource_id):
        return "Bundle.entry is a PUT whose request.url names another resource than it carries"
    return None


def known_id(row: Mapping[str, str | None]) -> str | None:
    """The id that an entry's resource goes by, known without looking into its content.

    Args:
        row: with the columns `IDENTITY`.

    Returns:
        Its own id; else one made from the criteria of a conditional create or update, so that the
        same criteria always mean the same resource; else the UUID of its fullUrl. None where it has
        none of these.
    """
    if row["resource_id"] is not None:
        return row["resource_id"]
    method, url = row["request_method"], row["request_url"]
    criteria = row["request_if_none_exist"] if method == "POST" else None
    conditional = _CRITERIA.fullmatch(url or "") if method == "PUT" else None
    if conditional:
        criteria = conditional[2]
    if criteria:
        query = f"{row['resource_type']}?{criteria}".encode()
        return hashlib.sha256(query).hexdigest()[:_MADE_ID_LENGTH]
    return uuid_of(row["full_url"])
