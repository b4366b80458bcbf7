"""Links to a transaction's entries that are elsewhere than in references.

Belongs here: what R4 asks of a server beside replacing references (http, 3.1.0.11.2): elements of
type uri, url, oid and uuid, and `href` of `<a>` and `src` of `<img>` in narratives. Elements of
type canonical, and strings such as `Identifier.value`, are no links and stay. References are
replaced in `fhir/references.py`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape, unescape

import msgspec
import numpy as np

from hc_assets.fhir.enrichment.columns.resource_columns import rows_with
from hc_assets.fhir.enrichment.columns.resource_texts import Texts
from hc_assets.fhir.r4.walker import members_of

_LINKS = frozenset({"uri", "url", "oid", "uuid"})
_CONTAINED = frozenset({"Resource", "DomainResource"})
# The element beside a primitive, in a member that begins with "_".
_ELEMENT = "Element"
_NARRATIVE_LINK = re.compile(
    r"""(<(?:a|img)\s(?:[^<>"']|"[^"]*"|'[^']*')*?\b(?:href|src)\s*=\s*)("[^"]*"|'[^']*')"""
)
# In JSON, "/" and ":" may be written otherwise.
_ESCAPES = (b"\\/", b"\\u00")

_decode = msgspec.json.Decoder(float_hook=str).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class BundleLinks:
    """Replaces links to the entries of one bundle.

    Attributes:
        signs: where a resource has none of these texts, it has no such link.
    """

    def __init__(self, targets: Mapping[str, str]) -> None:
        """Take what the fullUrls of the bundle stand for, `<type>/<id>` by fullUrl."""
        self._targets = targets
        # Few for any bundle: "urn:uuid:", or the addresses of a server's types.
        heads = {url[: max(url.rfind("/"), url.rfind(":")) + 1].encode() for url in targets}
        self.signs = (*sorted(heads), *_ESCAPES) if targets else ()

    def replaced(self, resource: bytes) -> bytes:
        """Replace the links of a resource whose references are replaced already.

        Args:
            resource: valid, as compact JSON.

        Returns:
            The resource; where nothing is to be replaced the same bytes.
        """
        if not self._may_have(resource):
            return resource
        return self._resource(resource)

    def _may_have(self, text: bytes) -> bool:
        return any(sign in text for sign in self.signs)

    def _resource(self, raw: bytes) -> bytes:
        members = _decode_members(raw)
        return self._object(raw, members, _decode(members["resourceType"]))

    def _object(self, raw: bytes, members: dict[str, msgspec.Raw], type_name: str) -> bytes:
        known = members_of(type_name)
        made: dict[str, msgspec.Raw] = {}
        is_changed = False
        for name, content in members.items():
            before = bytes(content)
            after = before
            if self._may_have(before):
                if name in known:
                    member = known[name]
                    after = self._member(before, member.ref.code, member.is_primitive)
                elif name.startswith("_"):
                    after = self._member(before, _ELEMENT, is_primitive=False)
            is_changed |= after != before
            made[name] = msgspec.Raw(after)
        return _encode(made) if is_changed else raw

    def _member(self, raw: bytes, type_name: str, is_primitive: bool) -> bytes:
        if raw.startswith(b"["):
            items = [bytes(item) for item in _decode_items(raw)]
            made = [self._member(item, type_name, is_primitive) for item in items]
            return raw if made == items else b"[%b]" % b",".join(made)
        if raw == b"null":
            return raw
        if not is_primitive:
            if type_name in _CONTAINED:
                return self._resource(raw)
            return self._object(raw, _decode_members(raw), type_name)
        if type_name in _LINKS:
            target = self._targets.get(_decode(raw))
            return raw if target is None else _encode(target)
        if type_name == "xhtml":
            text: str = _decode(raw)
            made_text = _NARRATIVE_LINK.sub(partial(_relinked, self._targets), text)
            return raw if made_text == text else _encode(made_text)
        return raw


def _relinked(targets: Mapping[str, str], found: re.Match[str]) -> str:
    target = targets.get(unescape(found[2][1:-1]))
    return found[0] if target is None else f'{found[1]}"{escape(target)}"'


def links_replaced(texts: Texts, links: Sequence[BundleLinks | None]) -> Texts:
    """Replace the links in many resources at once.

    Args:
        texts: the resources, as compact JSON.
        links: of the bundle that each came in; None where it has to stay as it is.
    """
    signs = {sign for each in {each for each in links if each is not None} for sign in each.signs}
    rows = np.flatnonzero(rows_with(sorted(signs), texts)).tolist()
    parts: list[bytes] = []
    at = 0
    grown = np.zeros(len(links), np.int64)
    for row in rows:
        begin, end = texts.offsets[row : row + 2].tolist()
        of_row = links[row]
        before = texts.buffer[begin:end]
        after = before if of_row is None else of_row.replaced(before)
        if after != before:
            parts += texts.buffer[at:begin], after
            at = end
            grown[row] = len(after) - len(before)
    if not parts:
        return texts
    offsets = texts.offsets.copy()
    offsets[1:] += np.cumsum(grown)
    return Texts(b"".join([*parts, texts.buffer[at:]]), offsets)
