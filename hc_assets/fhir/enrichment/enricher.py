"""A valid resource gets what the pipeline knows of it: meta, age, significance, quality score.

Belongs here: adding to a resource, and nothing but adding: every other byte of a value stays as it
came, decimals and the order of members among them. Which extensions a resource gets by its type is
in `rules.py`; the score that every resource gets is worked out in `consistency.py` and
`quality.py`.
"""

import hashlib
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from hc_assets.fhir.enrichment.columns.resource_texts import Names, Resource, read_one, text_of
from hc_assets.fhir.enrichment.consistency import NO_FACTS, Facts, consistency
from hc_assets.fhir.enrichment.expected_elements import EXPECTED_ELEMENTS
from hc_assets.fhir.enrichment.extensions import Extender, Members, extend_each
from hc_assets.fhir.enrichment.quality import Completeness, QualityScore, score
from hc_assets.fhir.enrichment.resource_changes import Changes
from hc_assets.fhir.enrichment.resource_meta import (
    EnrichedMeta,
    MetaWriter,
    content_sha256,
    source_uri,
)
from hc_assets.fhir.enrichment.rules import (
    NOTHING,
    RULES,
    Addition,
    Rule,
    Subject,
    additions,
    rules_for,
)
from hc_assets.fhir.r4.issues import Issue

_MADE_ID_LENGTH = 32
_CACHED = 16_384
_CACHED_SOURCES = 16

_decode_members = msgspec.json.Decoder(Members).decode
_encode = msgspec.json.encode


@dataclass(frozen=True)
class EnrichmentOptions:
    """What a deployment chooses.

    Attributes:
        source: meta.source of resources that name none.
        extension_base: URL that our extensions share.
        expected_elements: that completeness is judged by.
    """

    source: str
    extension_base: str
    expected_elements: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: EXPECTED_ELEMENTS
    )

    def digest(self) -> str:
        """SHA-256 over all of them."""
        return hashlib.sha256(_encode(self, order="sorted")).hexdigest()


class Enriched(NamedTuple):
    """The enriched resource as one line of JSON, its id, the hash of what was sent, its scores.

    `content_sha256` leaves out `meta.lastUpdated` and `meta.versionId`, which change without the
    content, and all that enrichment adds. `issues` says which facts do not hold, and what is odd
    about values, their units and ranges.
    """

    resource: bytes
    resource_id: str
    content_sha256: str
    last_updated: datetime
    quality_score: float
    completeness: float | None
    validity: float
    consistency: float | None
    issues: list[Issue]


def compact(resource: bytes) -> bytes:
    """Take the white space from between the tokens of a JSON text, and change nothing else."""
    return msgspec.json.format(resource, indent=-1)


class Enricher:
    """Enriches the resources of one batch.

    Attributes:
        meta: writes theirs.
        rules: by which extensions are added to them.
    """

    def __init__(
        self,
        landed_at: datetime,
        options: EnrichmentOptions,
        rules: tuple[Rule, ...] = RULES,
    ) -> None:
        """Prepare what all resources share.

        Args:
            landed_at: when the batch landed, UTC; "now" for whatever depends on the day.
            options: of the deployment.
            rules: of enrichment, in their order.
        """
        self.rules = rules
        self._elements = frozenset().union(*(rule.elements for rule in rules))
        self._today = landed_at.date().isoformat()
        self._base = options.extension_base
        names = {each.name for rule in rules for each in rule.extensions}
        self._extender = Extender(self._base, names)
        completeness = Completeness(options.expected_elements)
        # By shape, of which there are few, not by names.
        self._completeness = lru_cache(maxsize=_CACHED)(
            lambda type_, names: completeness(type_, names.listed)
        )
        self.meta = MetaWriter(landed_at, options.source, self._base)
        self._landed_at, self._source = landed_at, options.source
        self.of_source = lru_cache(maxsize=_CACHED_SOURCES)(self._of_source)

    def _of_source(self, source: str | None) -> "Enricher":
        """Return the same, but for meta.source where a resource names none."""
        if source is None:
            return self
        enricher = copy(self)
        enricher.meta = MetaWriter(self._landed_at, source_uri(self._source, source), self._base)
        return enricher

    def __call__(
        self,
        compact: bytes,
        warnings: int = 0,
        *,
        known_id: str | None = None,
        facts: Facts = NO_FACTS,
    ) -> Enriched:
        """Enrich one valid resource.

        Args:
            compact: valid R4 JSON without white space between its tokens.
            warnings: how many warnings the validator gave, best practice aside.
            known_id: that it goes by where it states none itself, if any.
            facts: what the batch says about its patient, encounter and references.

        Returns:
            The resource with an id where it had none (the known one, else one made from its
            content, so that the same resource gets the same id), with `meta.lastUpdated` and
            `meta.source` where it had none, and with our extensions: the quality score on `meta`,
            and those of the rules. Those of an earlier run are replaced.
        """
        return self.enriched(read_one(compact), warnings, known_id, facts)

    @property
    def signs(self) -> tuple[bytes, ...]:
        """What a resource that was enriched before holds one of, at least."""
        return self._extender.signs

    def enriched(
        self,
        sent: Resource,
        warnings: int,
        known_id: str | None,
        facts: Facts,
        modified: datetime | None = None,
    ) -> Enriched:
        """Enrich one valid resource whose members are found already.

        `modified` is when its entry says that it was: its lastUpdated where it states none.
        """
        place = None
        if self._extender.may_be_in(sent.text):
            bare = self._stripped(_decode_members(sent.text))
            stripped = read_one(_encode(bare))
            if "extension" in sent.names.places and "extension" not in bare:
                place = sent.names.places["extension"]
            sent = stripped
        type_ = text_of(sent.at(sent.names.places["resourceType"]))
        raw_meta = sent.raw("meta")
        if raw_meta is None and modified is None:
            meta = self.meta.alone
        else:
            meta = self.meta.of(raw_meta or b"{}", modified)
        content = _content_sha256(sent, meta)
        changes = Changes(sent)
        raw_id = sent.raw("id")
        if raw_id is None:
            resource_id = known_id or content[:_MADE_ID_LENGTH]
            changes.add_after("resourceType", b'"id":%b' % _encode(resource_id))
        else:
            resource_id = text_of(raw_id)
        rules = rules_for(self.rules, type_, sent.names)
        added = self.added(rules, type_, sent.text, facts) if rules else NOTHING
        self._add(changes, added)
        found = consistency(type_, sent, facts)
        share = found.share if found.judged else None
        scores, score_text = self.scored(type_, sent.names, warnings, share)
        self._add_meta(changes, meta, score_text)
        made = changes.written()
        if place is not None and changes.has_new_extension:
            made = _moved(made, "extension", place)
        return Enriched(
            made,
            resource_id,
            content,
            meta.last_updated,
            *scores,
            [*found.issues, *added.issues] if added.issues else found.issues,
        )

    def _stripped(self, members: Members) -> Members:
        members = dict(self._extender.strip(members))
        for name in self._elements & members.keys():
            members[name] = self._extender.strip_each(members[name])
        if "meta" in members:
            sent = _decode_members(members["meta"])
            meta = self._extender.strip(sent)
            if meta is not sent and meta.get("source") == self.meta.source:
                # It has been here before: what stood there is what we put there.
                meta = {name: raw for name, raw in meta.items() if name != "source"}
            members["meta"] = msgspec.Raw(_encode(meta))
            if not meta:
                del members["meta"]
        return members

    def added(self, rules: tuple[Rule, ...], type_: str, text: bytes, facts: Facts) -> Addition:
        """What rules add to a resource that has none of our extensions.

        Args:
            rules: those that apply to it, one at least.
            type_: of the resource.
            text: of the resource, compact.
            facts: what the batch says about its patient and encounter.
        """
        subject = Subject(type_, text, facts.patient, facts.encounter, self._today, self._base)
        return additions(rules, subject)

    def _add(self, changes: Changes, added: Addition) -> None:
        if added.extensions:
            changes.extend(added.extensions)
        for name, of_elements in added.of_elements.items():
            elements = msgspec.Raw(changes.sent.raw(name) or b"")
            changes.replace(name, bytes(extend_each(elements, of_elements)))

    def _add_meta(self, changes: Changes, meta: EnrichedMeta, value: bytes) -> None:
        made = b"%b%b%b" % (meta.before, value, meta.after)
        if "meta" in changes.sent.names.places:
            changes.replace("meta", made)
        else:
            changes.append(b'"meta":%b' % made)

    def scored(
        self, type_: str, names: Names, warnings: int, share: float | None
    ) -> tuple[QualityScore, bytes]:
        """The scores of a resource, and the first of them as JSON.

        Args:
            type_: of the resource.
            names: of its members.
            warnings: how many warnings the validator gave, best practice aside.
            share: of the facts that hold; None where there is none to judge.
        """
        return _scored(self._completeness(type_, names), warnings, share)


@lru_cache(maxsize=_CACHED)
def _scored(
    completeness: float | None, warnings: int, share: float | None
) -> tuple[QualityScore, bytes]:
    """The scores, and the quality score as JSON: there are few of them."""
    scores = score(completeness, warnings, share)
    return scores, repr(scores.quality_score).encode()


def _content_sha256(sent: Resource, meta: EnrichedMeta) -> str:
    place, ends = sent.names.places.get("meta"), sent.ends
    if place is None:
        return content_sha256(memoryview(sent.text), None, 0, b"")
    end_before = ends[2 * place - 1] if place else 0
    of_meta = ends[2 * place], ends[2 * place + 1]
    return content_sha256(memoryview(sent.text), of_meta, end_before, meta.content)


def _moved(resource: bytes, name: str, place: int) -> bytes:
    """Put a member where it was, so that enriching once more changes not a byte."""
    members = _decode_members(resource)
    pairs = [(each, raw) for each, raw in members.items() if each != name]
    pairs.insert(place, (name, members[name]))
    return _encode(dict(pairs))
