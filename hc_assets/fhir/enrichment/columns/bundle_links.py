"""Links to a transaction's entries that are elsewhere than in references.

Belongs here: what R4 asks of a server beside replacing references (http, 3.1.0.11.2): elements of
type uri and url, and `href` of `<a>` and `src` of `<img>` in narratives. Elements of type
canonical, and strings such as `Identifier.value`, are no links and stay. So do those that only name
something (`fhir/link_elements.py`), and those of type oid and uuid, which R4 lists beside the
others, but which nothing else than an OID or a UUID is valid in: an issue says that they stay.
References are replaced in `fhir/references.py`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape, unescape

import msgspec
import numpy as np

from hc_assets.fhir.enrichment.columns.resource_columns import rows_with
from hc_assets.fhir.enrichment.columns.resource_texts import Texts
from hc_assets.fhir.link_elements import CONTAINED, ELEMENT, is_identity
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.r4.walker import members_of

_LINKS = frozenset({"uri", "url"})
_IDENTITY = "identity"  # in place of the type of a uri that names something
_KNOWN_FORMS = _LINKS | {"oid", "uuid", _IDENTITY}
LINK_KEPT = "link-kept"
"""Rule of the issue that says that an element keeps the address of an entry."""
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

    def replaced(self, resource: bytes) -> tuple[bytes, list[Issue]]:
        """Replace the links of a resource whose references are replaced already.

        Args:
            resource: valid, as compact JSON.

        Returns:
            The resource, where nothing is to be replaced the same bytes; and an issue for each
            element that holds the address of an entry, and has to keep it.
        """
        if not self.may_be_in(resource):
            return resource, []
        replacing = _Replacing(self, self._targets)
        return replacing.resource(resource), replacing.issues

    def may_be_in(self, text: bytes) -> bool:
        """Whether there may be a link in a piece of JSON; quick."""
        return any(sign in text for sign in self.signs)


class _Replacing:
    """Goes through one resource."""

    def __init__(self, links: BundleLinks, targets: Mapping[str, str]) -> None:
        self._links, self._targets = links, targets
        self.issues: list[Issue] = []

    def resource(self, raw: bytes, path: str = "") -> bytes:
        members = _decode_members(raw)
        type_name = _decode(members["resourceType"])
        return self._object(raw, members, type_name, path or type_name)

    def _object(
        self, raw: bytes, members: dict[str, msgspec.Raw], type_name: str, path: str
    ) -> bytes:
        known = members_of(type_name)
        made: dict[str, msgspec.Raw] = {}
        is_changed = False
        for name, content in members.items():
            before = bytes(content)
            after = before
            if self._links.may_be_in(before):
                at = f"{path}.{name}"
                if name in known and not known[name].is_primitive:
                    after = self._elements(before, known[name].ref.code, at)
                elif name in known:
                    of_type = known[name].ref.code
                    if of_type in _LINKS and is_identity(type_name, name):
                        of_type = _IDENTITY
                    after = self._values(before, of_type, at)
                elif name.startswith("_"):
                    after = self._elements(before, ELEMENT, at)
            is_changed |= after != before
            made[name] = msgspec.Raw(after)
        return _encode(made) if is_changed else raw

    def _elements(self, raw: bytes, type_name: str, path: str) -> bytes:
        if raw.startswith(b"["):
            return self._each(raw, path, partial(self._elements, type_name=type_name))
        if raw == b"null":
            return raw
        if type_name in CONTAINED:
            return self.resource(raw, path)
        return self._object(raw, _decode_members(raw), type_name, path)

    def _values(self, raw: bytes, type_name: str, path: str) -> bytes:
        if raw.startswith(b"["):
            return self._each(raw, path, partial(self._values, type_name=type_name))
        if raw == b"null":
            return raw
        if type_name == "xhtml":
            text: str = _decode(raw)
            made_text = _NARRATIVE_LINK.sub(partial(_relinked, self._targets), text)
            return raw if made_text == text else _encode(made_text)
        if type_name not in _KNOWN_FORMS:
            return raw
        target = self._targets.get(_decode(raw))
        if target is None:
            return raw
        if type_name in _LINKS:
            return _encode(target)
        self.issues.append(_kept(type_name, path))
        return raw

    def _each(self, raw: bytes, path: str, replaced: Callable[..., bytes]) -> bytes:
        items = [bytes(item) for item in _decode_items(raw)]
        made = [replaced(item, path=f"{path}[{number}]") for number, item in enumerate(items)]
        return raw if made == items else b"[%b]" % b",".join(made)


def _kept(type_name: str, path: str) -> Issue:
    why = (
        "an identity, and no link: it stays"
        if type_name == _IDENTITY
        else f"of type {type_name}, which no reference is valid in: it stays"
    )
    return Issue(
        severity="information",
        code="business-rule",
        expression=path,
        rule=LINK_KEPT,
        diagnostics=f"found the fullUrl of an entry, {why}",
    )


def _relinked(targets: Mapping[str, str], found: re.Match[str]) -> str:
    target = targets.get(unescape(found[2][1:-1]))
    return found[0] if target is None else f'{found[1]}"{escape(target)}"'


def links_replaced(
    texts: Texts, links: Sequence[BundleLinks | None]
) -> tuple[Texts, dict[int, list[Issue]]]:
    """Replace the links in many resources at once.

    Args:
        texts: the resources, as compact JSON.
        links: of the bundle that each came in; None where it has to stay as it is.

    Returns:
        The resources, and the issues of those that have some, by their number.
    """
    signs = {sign for each in {each for each in links if each is not None} for sign in each.signs}
    rows = np.flatnonzero(rows_with(sorted(signs), texts)).tolist()
    parts: list[bytes] = []
    at = 0
    grown = np.zeros(len(links), np.int64)
    issues: dict[int, list[Issue]] = {}
    for row in rows:
        begin, end = texts.offsets[row : row + 2].tolist()
        of_row = links[row]
        before = texts.buffer[begin:end]
        after, kept = (before, []) if of_row is None else of_row.replaced(before)
        if kept:
            issues[row] = kept
        if after != before:
            parts += texts.buffer[at:begin], after
            at = end
            grown[row] = len(after) - len(before)
    if not parts:
        return texts, issues
    offsets = texts.offsets.copy()
    offsets[1:] += np.cumsum(grown)
    return Texts(b"".join([*parts, texts.buffer[at:]]), offsets), issues
