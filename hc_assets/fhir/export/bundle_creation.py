"""Resources leave as a Bundle.

Belongs here: the envelope, modelled with `fhir.resources`. The resources go in byte for byte, so
that decimals and the order of members survive. Reading Bundles is in `fhir/bundles/read.py`.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec
from fhir.resources.R4B.bundle import Bundle

from hc_assets.core.source_names import folder_of, is_base

BundleType = Literal["collection", "searchset", "batch"]


class _Head(msgspec.Struct):
    resource_type: str = msgspec.field(name="resourceType")
    id: str | None = None


_decode_head = msgspec.json.Decoder(_Head).decode


def create_bundle(
    type_: BundleType,
    resources: Iterable[bytes],
    *,
    base_url: str = "",
    timestamp: datetime | None = None,
    total: int | None = None,
    links: dict[str, str] | None = None,
    included: Iterable[bytes] = (),
    sources: Iterable[str | None] = (),
) -> bytes:
    """Make a Bundle of resources.

    Args:
        type_: `collection`; `searchset`, whose entries say whether they match or are included; or
            `batch`, whose entries ask for an update, or for a creation where there is no id.
        resources: as JSON.
        base_url: of the server that fullUrls begin with; without it there are none, as a fullUrl
            must be absolute.
        timestamp: when the Bundle was made.
        total: of a searchset, how many resources match in all; as many as there are where None.
        links: of a searchset, URL by relation (self, next ...).
        included: of a searchset, resources that do not match but are referred to.
        sources: of the resources and then the included ones, `source` of `fhir/current_resources`;
            none where all are of none. A fullUrl begins with the base that a source is; of a name,
            with the base url and the name.

    Returns:
        The Bundle as JSON.

    Raises:
        msgspec.ValidationError: a resource has no resourceType.
        pydantic.ValidationError: what was given makes no Bundle.
    """
    matching = list(resources)
    beside = list(included)
    of_each = list(sources) or [None] * len([*matching, *beside])
    modes = ["match"] * len(matching) + ["include"] * len(beside)
    entries = [
        _entry(type_, each, _base_of(source, base_url), mode)
        for each, source, mode in zip([*matching, *beside], of_each, modes, strict=True)
    ]
    envelope: dict[str, Any] = {"type": type_, "entry": entries}
    if timestamp is not None:
        envelope["timestamp"] = timestamp
    if type_ == "searchset":
        envelope["total"] = len(matching) if total is None else total
        envelope["link"] = [{"relation": r, "url": url} for r, url in (links or {}).items()]
    elif total is not None or links or beside:
        raise ValueError(f"a {type_} Bundle has no total, search links or included resources")
    # The model judges the envelope; the resources themselves are put in as they are.
    checked = msgspec.json.decode(Bundle(**envelope).model_dump_json())
    made = checked.get("entry", [{} for _ in entries])
    for entry, resource in zip(made, [*matching, *beside], strict=True):
        entry["resource"] = msgspec.Raw(resource)
    if made:
        checked["entry"] = made
    return msgspec.json.encode(checked)


def _base_of(source: str | None, base_url: str) -> str:
    if source is not None and is_base(source):
        return source
    if source is None or not base_url:
        return base_url
    return f"{base_url.rstrip('/')}/{folder_of(source)}"


def _entry(type_: BundleType, resource: bytes, base_url: str, mode: str) -> dict[str, Any]:
    head = _decode_head(resource)
    entry: dict[str, Any] = {}
    if base_url and head.id:
        entry["fullUrl"] = f"{base_url.rstrip('/')}/{head.resource_type}/{head.id}"
    if type_ == "searchset":
        entry["search"] = {"mode": mode}
    elif type_ == "batch":
        put = {"method": "PUT", "url": f"{head.resource_type}/{head.id}"}
        entry["request"] = put if head.id else {"method": "POST", "url": head.resource_type}
    return entry
