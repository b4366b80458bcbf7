"""Bytes for tests of splitting, and the entries that they give."""

import io

from hc_assets.fhir.bundles.entries import Entry
from hc_assets.fhir.bundles.read import read_entries

DOCUMENT = "application/fhir+json"
LINES = "application/fhir+ndjson"
UNKNOWN = "application/octet-stream"
PATIENT = b'{"resourceType":"Patient","id":"p1"}'
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def split(data: bytes, media_type: str = DOCUMENT) -> list[Entry]:
    return list(read_entries(io.BytesIO(data), media_type))


def bundle(*entries: bytes) -> bytes:
    listed = b",".join(entries)
    return b'{"resourceType":"Bundle","type":"transaction","entry":[' + listed + b"]}"


def only(data: bytes, media_type: str = DOCUMENT) -> Entry:
    (entry,) = split(data, media_type)
    return entry
