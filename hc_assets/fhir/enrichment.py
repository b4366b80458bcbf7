"""A valid resource gets what the pipeline knows of it: meta, age, significance, quality score.

Belongs here: adding to a resource, and nothing but adding: every other byte of a value stays as it
came, decimals and the order of members among them. What is added is worked out in
`demographics.py`, `significance.py`, `consistency.py` and `quality.py`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from hc_assets.fhir.batch_index import PatientFacts, patient_facts
from hc_assets.fhir.consistency import NO_FACTS, Facts, consistency
from hc_assets.fhir.demographics import Ages, age_group, ages, risk_factors
from hc_assets.fhir.elements import (
    Measured,
    Observation,
    decode_meta,
    decode_observation,
    decode_patient,
)
from hc_assets.fhir.expected_elements import EXPECTED_ELEMENTS
from hc_assets.fhir.extensions import (
    AGE,
    AGE_GROUP,
    RISK_FACTOR,
    SCORE,
    Extender,
    Members,
    canonical,
    extend,
    extend_each,
    extension,
    url,
)
from hc_assets.fhir.quality import Completeness, QualityScore, score
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.resource_texts import Resource, read_one, spliced, text_of
from hc_assets.fhir.significance import (
    NOBODY,
    NotConvertible,
    Person,
    significance,
    significance_extension,
)
from hc_assets.fhir.times import moment_of
from hc_assets.fhir.units import UCUM

_VOLATILE_META = frozenset({"lastUpdated", "versionId"})
_MADE_ID_LENGTH = 32
# Observations that say nothing of the patient: not yet, or no longer (HL7 ObservationStatus).
_WITHOUT_SIGNIFICANCE = frozenset({"registered", "entered-in-error", "cancelled", "unknown"})
# Members of which a value may have a significance.
_MEASURED = frozenset({"valueQuantity", "valueCodeableConcept", "component"})
_CACHED = 16_384

_decode_members = msgspec.json.Decoder(Members).decode
_encode = msgspec.json.encode
_moment_of = lru_cache(maxsize=_CACHED)(moment_of)


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
    content, and all that enrichment adds. `issues` says which facts do not hold and which units
    can't be converted.
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
    """Enriches the resources of one batch."""

    def __init__(self, landed_at: datetime, options: EnrichmentOptions) -> None:
        """Prepare what all resources share.

        Args:
            landed_at: when the batch landed, UTC; "now" for whatever depends on the day.
            options: of the deployment.
        """
        self._landed_at, self._today = landed_at, landed_at.date().isoformat()
        self._base, self._source = options.extension_base, options.source
        self._extender = Extender(self._base)
        completeness = Completeness(options.expected_elements)
        # By shape, of which there are few, not by names.
        self._completeness = lru_cache(maxsize=_CACHED)(
            lambda type_, names: completeness(type_, names.listed)
        )
        self._last_updated = _encode(landed_at.isoformat(timespec="seconds"))
        self._source_text = _encode(options.source)
        self._score_start = b'{"url":%b,"valueDecimal":' % _encode(url(self._base, SCORE))
        self._whole_meta = b'{"lastUpdated":%b,"source":%b,"extension":[%b' % (
            self._last_updated,
            self._source_text,
            self._score_start,
        )

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
            facts: what the batch says of its patient, encounter and references.

        Returns:
            The resource with an id where it had none (the known one, else one made from its
            content, so that the same resource gets the same id), with `meta.lastUpdated` and
            `meta.source` where it had none, and with our extensions: the quality score on `meta`;
            age, age group and risk factors on a Patient; the significance of values on an
            Observation and its components. Those of an earlier run are replaced.
        """
        return self.enriched(read_one(compact), warnings, known_id, facts, may_be_enriched=True)

    def may_have_made(self, texts: bytes) -> bool:
        """Whether resources in some JSON texts may have been enriched before; quick."""
        return self._extender.may_be_in(texts)

    def enriched(
        self,
        sent: Resource,
        warnings: int,
        known_id: str | None,
        facts: Facts,
        *,
        may_be_enriched: bool,
    ) -> Enriched:
        """Enrich one valid resource whose members are found already."""
        place = None
        if may_be_enriched and self._extender.may_be_in(sent.text):
            bare = self._stripped(_decode_members(sent.text))
            stripped = read_one(_encode(bare))
            if "extension" in sent.names.places and "extension" not in bare:
                place = sent.names.places["extension"]
            sent = stripped
        type_ = text_of(sent.at(sent.names.places["resourceType"]))
        content = _content_sha256(sent)
        changes = _Changes(sent)
        raw_id = sent.raw("id")
        if raw_id is None:
            resource_id = known_id or content[:_MADE_ID_LENGTH]
            changes.add_after("resourceType", b'"id":%b' % _encode(resource_id))
        else:
            resource_id = text_of(raw_id)
        issues: list[Issue] = []
        if type_ == "Observation":
            if not _MEASURED.isdisjoint(sent.names.places):
                issues += self._add_significance(changes, facts.patient)
        elif type_ == "Patient":
            self._add_demographics(changes, sent.text)
        found = consistency(type_, sent, facts)
        share = found.share if found.judged else None
        scores, shown = _scored(self._completeness(type_, sent.names), warnings, share)
        last_updated = self._add_meta(changes, shown)
        made = changes.written()
        if place is not None and changes.has_new_extension:
            made = _moved(made, "extension", place)
        return Enriched(
            made,
            resource_id,
            content,
            last_updated,
            *scores,
            found.issues + issues if issues else found.issues,
        )

    def _stripped(self, members: Members) -> Members:
        members = dict(self._extender.strip(members))
        if "component" in members:
            members["component"] = self._extender.strip_each(members["component"])
        if "meta" in members:
            sent = _decode_members(members["meta"])
            meta = self._extender.strip(sent)
            if meta is not sent and meta.get("source") == msgspec.Raw(self._source_text):
                # It has been here before: what stood there is what we put there.
                meta = {name: raw for name, raw in meta.items() if name != "source"}
            members["meta"] = msgspec.Raw(_encode(meta))
            if not meta:
                del members["meta"]
        return members

    def _add_meta(self, changes: "_Changes", value: bytes) -> datetime:
        raw = changes.sent.raw("meta")
        if raw is None:
            changes.append(b'"meta":%b%b}]}' % (self._whole_meta, value))
            return self._landed_at
        known = decode_meta(raw)
        meta = _decode_members(raw)
        if known.last_updated is None:
            meta["lastUpdated"] = msgspec.Raw(self._last_updated)
        if known.source is None:
            meta["source"] = msgspec.Raw(self._source_text)
        extend(meta, [b"%b%b}" % (self._score_start, value)])
        changes.replace("meta", _encode(meta))
        return _moment_of(known.last_updated) or self._landed_at

    def _add_demographics(self, changes: "_Changes", compact: bytes) -> None:
        patient = decode_patient(compact)
        if patient.is_dead:
            return  # dead, and nobody says since when
        facts = patient_facts(compact)
        until = patient.deceased or self._today
        found = ages(facts.birth, until) if facts.birth is not None else None
        if found is None:
            return
        added = list(_age_extensions(self._base, found))
        if patient.deceased is None:
            is_multiple = patient.is_multiple_birth or patient.birth_order is not None
            added += _risk_extensions(self._base, found, patient.gender, is_multiple)
        changes.extend(added)

    def _add_significance(
        self, changes: "_Changes", patient: PatientFacts | None
    ) -> Iterator[Issue]:
        seen = decode_observation(changes.sent.text)
        if seen.status in _WITHOUT_SIGNIFICANCE:
            return
        person = _person(seen, patient)
        if seen.quantity is not None or seen.concept is not None:
            yield from self._judge(changes, seen, person)
        if seen.component:
            judged = [self._judgement(part, person) for part in seen.component]
            extensions = [each if isinstance(each, bytes) else None for each in judged]
            if any(extensions):
                parts = msgspec.Raw(changes.sent.raw("component") or b"")
                changes.replace("component", bytes(extend_each(parts, extensions)))
            for number, each in enumerate(judged):
                if isinstance(each, NotConvertible):
                    yield _not_convertible(each, f"Observation.component[{number}].valueQuantity")

    def _judge(self, changes: "_Changes", seen: Observation, person: Person) -> Iterator[Issue]:
        found = self._judgement(seen, person)
        if isinstance(found, NotConvertible):
            yield _not_convertible(found, "Observation.valueQuantity")
        elif found is not None:
            changes.extend([found])

    def _judgement(self, measured: Measured, person: Person) -> bytes | NotConvertible | None:
        found = significance(measured, person)
        if found is None or isinstance(found, NotConvertible):
            return found
        return significance_extension(self._base, found)


class _Changes:
    """What is added to a resource; every other byte of it stays."""

    def __init__(self, sent: Resource) -> None:
        self.sent = sent
        self.has_new_extension = False
        self._replaced: list[tuple[int, int, bytes]] = []
        self._appended = b""

    def append(self, member: bytes) -> None:
        """Add a member, name and value, behind all others."""
        self._appended += b"," + member

    def add_after(self, name: str, member: bytes) -> None:
        """Add a member, name and value, behind the one of a name."""
        end = self.sent.ends[2 * self.sent.names.places[name] + 1]
        self._replaced.append((end, end, b"," + member))

    def replace(self, name: str, value: bytes) -> None:
        """Put another value in place of a member's."""
        place = self.sent.names.places[name]
        begin, end = self.sent.ends[2 * place : 2 * place + 2]
        self._replaced.append((begin, end, value))

    def extend(self, extensions: list[bytes]) -> None:
        """Append extensions."""
        added = b",".join(extensions)
        place = self.sent.names.places.get("extension")
        if place is None:
            self.append(b'"extension":[%b]' % added)
            self.has_new_extension = True
        else:
            end = self.sent.ends[2 * place + 1]
            self._replaced.append((end - 1, end - 1, b"," + added))

    def written(self) -> bytes:
        """Give the resource with them."""
        return spliced(self.sent.text, sorted(self._replaced), self._appended)


def _not_convertible(found: NotConvertible, expression: str) -> Issue:
    return Issue(
        severity="warning",
        code="not-supported",
        expression=expression,
        rule="unit-convertible",
        diagnostics=f"found {found.found}, expected a UCUM unit that becomes {found.expected}",
    )


def _person(seen: Observation, patient: PatientFacts | None) -> Person:
    if patient is None:
        return NOBODY
    when = seen.effective or seen.effective_instant
    if when is None and seen.effective_period is not None:
        when = seen.effective_period.start
    known = when is not None and patient.birth is not None
    return Person(ages(patient.birth, when) if known else None, patient.sex)


@lru_cache(maxsize=_CACHED)
def _scored(
    completeness: float | None, warnings: int, share: float | None
) -> tuple[QualityScore, bytes]:
    """The scores, and the quality score as JSON: there are few of them."""
    scores = score(completeness, warnings, share)
    return scores, repr(scores.quality_score).encode()


@lru_cache(maxsize=_CACHED)
def _age_extensions(base: str, found: Ages) -> tuple[bytes, ...]:
    def years(value: int) -> dict[str, object]:
        return {"value": value, "unit": "years", "system": UCUM, "code": "a"}

    if found.least == found.most:
        # No valueAge: that can't be 0 (age-1), as it is before the first birthday.
        age = extension(base, AGE, valueQuantity=years(found.least))
    else:
        range_ = {"low": years(found.least), "high": years(found.most)}
        age = extension(base, AGE, valueRange=range_)
    group = age_group(found.least)
    if group != age_group(found.most):
        return (age,)
    return age, extension(base, AGE_GROUP, valueCode=group)


@lru_cache(maxsize=_CACHED)
def _risk_extensions(
    base: str, found: Ages, sex: str | None, is_multiple_birth: bool
) -> tuple[bytes, ...]:
    system = canonical(base, "CodeSystem", RISK_FACTOR)
    return tuple(
        extension(
            base,
            RISK_FACTOR,
            valueCoding={"system": system, "code": factor.code, "display": factor.display},
        )
        for factor in risk_factors(found, sex, is_multiple_birth=is_multiple_birth)
    )


def _content_sha256(sent: Resource) -> str:
    compact = sent.text
    raw = sent.raw("meta")
    if raw is not None and (b'"lastUpdated"' in raw or b'"versionId"' in raw):
        meta = _decode_members(raw)
        kept = {name: raw for name, raw in meta.items() if name not in _VOLATILE_META}
        content = _decode_members(compact)
        content["meta"] = msgspec.Raw(_encode(kept))
        if not kept:
            del content["meta"]
        compact = _encode(content)
    return hashlib.sha256(compact).hexdigest()


def _moved(resource: bytes, name: str, place: int) -> bytes:
    """Put a member where it was, so that enriching once more changes not a byte."""
    members = _decode_members(resource)
    pairs = [(each, raw) for each, raw in members.items() if each != name]
    pairs.insert(place, (name, members[name]))
    return _encode(dict(pairs))
