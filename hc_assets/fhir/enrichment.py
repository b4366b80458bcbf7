"""A valid resource gets what the pipeline knows of it: meta, age, quality score.

Belongs here: adding to a resource, and nothing but adding: every other byte of a value stays as it
came, decimals and the order of members among them. Scores are computed in `quality.py`.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec

from hc_assets.fhir.quality import QualityScore, score
from hc_assets.fhir.times import day_of, moment_of

_UCUM = "http://unitsofmeasure.org"
# Where a pediatric patient becomes an adult, and an adult an older one: 18 and 65 completed years,
# as the age groups of the FDA (21 CFR 201.57(c)(9)(v), geriatric) and common practice have it.
_ADULT_FROM = 18
_OLDER_ADULT_FROM = 65
_VOLATILE_META = frozenset({"lastUpdated", "versionId"})
_MADE_ID_LENGTH = 32

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
# Only names and texts are read from values: a number that no float holds must not stop that.
_decode_value = msgspec.json.Decoder(float_hook=str).decode
_encode = msgspec.json.encode


@dataclass(frozen=True)
class EnrichmentOptions:
    """What a deployment chooses: meta.source where none is named, and the extensions' base."""

    source: str
    extension_base: str


@dataclass(frozen=True)
class Enriched:
    """The enriched resource as one line of JSON, its id, the hash of what was sent, its scores.

    `content_sha256` leaves out `meta.lastUpdated` and `meta.versionId`, which change without the
    content, and all that enrichment adds.
    """

    resource: bytes
    resource_id: str
    content_sha256: str
    last_updated: datetime
    quality_score: float
    completeness: float | None
    validity: float
    consistency: float | None


class _Meta(msgspec.Struct):
    last_updated: str | None = msgspec.field(name="lastUpdated", default=None)
    source: str | None = None


_decode_meta = msgspec.json.Decoder(_Meta).decode


def enrich(
    resource: bytes,
    warnings: int,
    landed_at: datetime,
    options: EnrichmentOptions,
    *,
    known_id: str | None = None,
) -> Enriched:
    """Enrich one valid resource.

    Args:
        resource: valid R4 JSON.
        warnings: how many warnings the validator gave.
        landed_at: when its batch landed, UTC; "now" for whatever depends on the day.
        options: of the deployment.
        known_id: that it goes by where it states none itself, if any.

    Returns:
        The resource with an id where it had none (the known one, else one made from its content,
        so that the same resource gets the same id), with `meta.lastUpdated` and `meta.source`
        where it had none, the quality score as an extension of `meta`, and on a Patient with
        a birth date age and age group as extensions. White space between tokens is dropped.
    """
    members = _decode_members(msgspec.json.format(resource, indent=-1))
    plain = {name: _decode_value(raw) for name, raw in members.items()}
    content = _content_sha256(members)
    if "id" not in members:
        members = _with_id(members, known_id, content)
    scores = score(plain, warnings)
    last_updated = _add_meta(members, scores, landed_at, options)
    if plain["resourceType"] == "Patient":
        _add_age(members, plain, landed_at.date(), options)
    return Enriched(
        resource=_encode(members),
        resource_id=_decode_value(members["id"]),
        content_sha256=content,
        last_updated=last_updated,
        quality_score=scores.quality_score,
        completeness=scores.completeness,
        validity=scores.validity,
        consistency=scores.consistency,
    )


def _content_sha256(members: dict[str, msgspec.Raw]) -> str:
    content = members
    if "meta" in members:
        meta = _decode_members(members["meta"])
        kept = {name: raw for name, raw in meta.items() if name not in _VOLATILE_META}
        content = {**members, "meta": _json(kept)}
        if not kept:
            del content["meta"]
    return hashlib.sha256(_encode(content)).hexdigest()


def _with_id(
    members: dict[str, msgspec.Raw], known_id: str | None, content: str
) -> dict[str, msgspec.Raw]:
    made = known_id or content[:_MADE_ID_LENGTH]
    identified = {}
    for name, raw in members.items():
        identified[name] = raw
        if name == "resourceType":
            identified["id"] = _json(made)
    return identified


def _add_meta(
    members: dict[str, msgspec.Raw],
    scores: QualityScore,
    landed_at: datetime,
    options: EnrichmentOptions,
) -> datetime:
    raw = members.get("meta", msgspec.Raw(b"{}"))
    known = _decode_meta(raw)
    meta = _decode_members(raw)
    if known.last_updated is None:
        meta["lastUpdated"] = _json(landed_at.isoformat(timespec="seconds"))
    if known.source is None:
        meta["source"] = _json(options.source)
    _extend(
        meta,
        {
            "url": f"{options.extension_base}/data-quality-score",
            "valueDecimal": scores.quality_score,
        },
    )
    members["meta"] = msgspec.Raw(_encode(meta))
    return moment_of(known.last_updated) or landed_at


def _add_age(
    members: dict[str, msgspec.Raw],
    patient: dict[str, Any],
    today: date,
    options: EnrichmentOptions,
) -> None:
    born, died = patient.get("birthDate"), patient.get("deceasedDateTime")
    if patient.get("deceasedBoolean"):
        return  # dead, and nobody says since when
    birth_day, last_day = day_of(born), today if died is None else day_of(died)
    if birth_day is None or last_day is None or last_day < birth_day:
        return
    years = age_in_years(birth_day, last_day)
    base = options.extension_base
    _extend(
        members,
        {
            "url": f"{base}/age",
            # No valueAge: that can't be 0 (age-1), as it is before the first birthday.
            "valueQuantity": {"value": years, "unit": "years", "system": _UCUM, "code": "a"},
        },
        {"url": f"{base}/age-group", "valueCode": age_group(years)},
    )


def age_in_years(born: date, until: date) -> int:
    """Completed years from birth to a day; someone born on 29 February ages on 1 March."""
    return until.year - born.year - ((until.month, until.day) < (born.month, born.day))


def age_group(years: int) -> str:
    """`pediatric` below 18 completed years, `adult` below 65, `older-adult` from there."""
    if years < _ADULT_FROM:
        return "pediatric"
    return "adult" if years < _OLDER_ADULT_FROM else "older-adult"


def _extend(element: dict[str, msgspec.Raw], *extensions: dict[str, Any]) -> None:
    """Append extensions to an element, in place of those of the same url from an earlier run."""
    urls = {extension["url"] for extension in extensions}
    there = _decode_list(element["extension"]) if "extension" in element else []
    kept = [raw for raw in there if _decode_value(raw).get("url") not in urls]
    element["extension"] = _json([*kept, *extensions])


def _json(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))
