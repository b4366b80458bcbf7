"""Resource.meta as enrichment leaves it, and what of it counts as content.

Belongs here: lastUpdated, source and where the quality score stands among them. How the score is
worked out is in `quality.py`.
"""

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.source_names import is_base
from hc_assets.fhir.enrichment.elements import decode_meta
from hc_assets.fhir.enrichment.extensions import SCORE, Members, extend, url
from hc_assets.fhir.times import finer_digits, moment_of

_VOLATILE = frozenset({"lastUpdated", "versionId"})
# Of the score, until it is known: no JSON text has such a byte in it.
_PLACEHOLDER = b"\0"
_CACHED = 16_384
_ETAG = r'^(?:W/)?"(?P<version>[^"]*)"$'

_decode_members = msgspec.json.Decoder(Members).decode
_encode = msgspec.json.encode
_moment_of = lru_cache(maxsize=_CACHED)(moment_of)


class EnrichedMeta(NamedTuple):
    """A meta that only lacks the score.

    Attributes:
        before: what precedes the score.
        after: what follows it.
        last_updated: of the resource.
        content: what counts of the meta that was sent, as JSON; empty where nothing does.
        states_time: whether the meta that was sent says when it was updated.
        digits: of that time, behind its microseconds; see `finer_digits`.
        version: versionId as sent.
    """

    before: bytes
    after: bytes
    last_updated: datetime
    content: bytes
    states_time: bool
    digits: str
    version: str | None


def source_uri(ours: str, source: str) -> str:
    """What meta.source says of a source: the base of a server itself; of a name, ours with it.

    Args:
        ours: meta.source of resources of no source.
        source: a name, or a base.
    """
    return source if is_base(source) else f"{ours}{'/' if '#' in ours else '#'}{source}"


class MetaWriter:
    """Writes the meta of the resources of one batch."""

    def __init__(self, landed_at: datetime, source: str, extension_base: str) -> None:
        """Prepare what all resources share.

        Args:
            landed_at: when the batch landed, UTC: lastUpdated where a resource has none.
            source: meta.source of resources that name none.
            extension_base: URL that our extensions share.
        """
        self._landed_at = landed_at
        self._last_updated = msgspec.Raw(_encode(landed_at.isoformat(timespec="seconds")))
        self._score = b'{"url":%b,"valueDecimal":%b}' % (
            _encode(url(extension_base, SCORE)),
            _PLACEHOLDER,
        )
        self.source = msgspec.Raw(_encode(source))
        self.alone = self.of(b"{}")

    def of(self, raw: bytes, modified: datetime | None = None) -> EnrichedMeta:
        """Write the meta of a resource.

        Args:
            raw: JSON of the meta that was sent; `alone` is what becomes of none.
            modified: when the resource was, as its entry says: lastUpdated where the meta has none.
        """
        known, meta = decode_meta(raw), _decode_members(raw)
        content = raw if meta else b""
        if not _VOLATILE.isdisjoint(meta):
            kept = {name: value for name, value in meta.items() if name not in _VOLATILE}
            content = _encode(kept) if kept else b""
        if known.last_updated is None:
            meta["lastUpdated"] = (
                self._last_updated
                if modified is None
                else msgspec.Raw(_encode(modified.isoformat()))
            )
        if known.source is None:
            meta["source"] = self.source
        extend(meta, [self._score])
        before, _, after = _encode(meta).partition(_PLACEHOLDER)
        stated = _moment_of(known.last_updated)
        last_updated = stated or modified or self._landed_at
        digits = finer_digits(known.last_updated)
        return EnrichedMeta(
            before, after, last_updated, content, stated is not None, digits, known.version_id
        )


def version_in(etags: pa.Array) -> pa.Array:
    """The version that each ETag of a response names (R4 http, 3.1.0.1.3): `W/"3"` is of 3."""
    return pc.struct_field(pc.extract_regex(etags, _ETAG), "version")


def content_sha256(
    text: memoryview, meta: tuple[int, int] | None, end_before: int, content: bytes
) -> str:
    """Hash a resource as sent, apart from what of its meta does not count.

    Args:
        text: compact JSON.
        meta: where the value of meta begins and ends; None where there is none.
        end_before: where the value of the member before it ends; 0 where it is the first.
        content: what counts of it.
    """
    if meta is None or text[meta[0] : meta[1]] == content:
        return hashlib.sha256(text).hexdigest()
    begin, end = meta
    if not content:
        # The member goes, with the comma before it or, of the first, behind it.
        begin, end = (end_before, end) if end_before else (1, end + 1)
    made = hashlib.sha256(text[:begin])
    made.update(content)
    made.update(text[end:])
    return made.hexdigest()
