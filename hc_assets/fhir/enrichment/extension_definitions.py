"""What our extensions mean, as FHIR publishes it: StructureDefinitions and the codes they use.

Belongs here: the definitions, for any base URL. Those for the default base lie in `docs/fhir/`
(`python -m hc_assets.fhir.enrichment.extension_definitions docs/fhir`), those of a deployment in
its exports.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from upath import UPath

from hc_assets.fhir.enrichment.demographics import ADULT_FROM, OLDER_ADULT_FROM, RISK_FACTORS
from hc_assets.fhir.enrichment.extensions import (
    AGE,
    AGE_GROUP,
    RISK_FACTOR,
    ROW_COUNT,
    SCORE,
    SIGNIFICANCE,
    canonical,
    url,
)
from hc_assets.fhir.enrichment.significance import CODED_RESULT, OWN_RANGE, TABLE
from hc_assets.fhir.settings import FhirSettings
from hc_assets.lake.atomic import make_folder, write_bytes

_VERSION = "1.0.0"
_EXTENSION = "http://hl7.org/fhir/StructureDefinition/Extension"
_INTERPRETATIONS = "http://hl7.org/fhir/ValueSet/observation-interpretation"
_EVIDENCE = "significance-evidence"


@dataclass(frozen=True)
class _Value:
    """A value that an extension, or a part of one, has.

    Attributes:
        types: FHIR types of `value[x]`.
        short: what it says.
        minimum: how often at least.
        value_set: canonical of the required one.
    """

    types: tuple[str, ...]
    short: str
    minimum: int = 1
    value_set: str = ""


@dataclass(frozen=True)
class _Definition:
    """An extension: where it stands, what it says, and its value or its parts."""

    name: str
    title: str
    description: str
    contexts: tuple[str, ...]
    content: _Value | Mapping[str, _Value]
    maximum: str = "1"


@dataclass(frozen=True)
class _Codes:
    """A code system: name, title, and each code with what it means."""

    name: str
    title: str
    codes: tuple[tuple[str, str, str], ...]


_CODES = (
    _Codes(
        AGE_GROUP,
        "Age group",
        (
            ("pediatric", "Pediatric", f"Below {ADULT_FROM} completed years"),
            ("adult", "Adult", f"From {ADULT_FROM} and below {OLDER_ADULT_FROM} completed years"),
            ("older-adult", "Older adult", f"From {OLDER_ADULT_FROM} completed years"),
        ),
    ),
    _Codes(
        RISK_FACTOR,
        "Demographic risk factor",
        tuple((f.code, f.display, f"Source: {f.source}") for f in RISK_FACTORS),
    ),
    _Codes(
        _EVIDENCE,
        "Evidence of an interpretation",
        (
            (OWN_RANGE, "Reference range", "A reference range that the observation itself states"),
            (TABLE, "Reference table", "The table of common vital signs and laboratory tests"),
            (CODED_RESULT, "Coded result", "The observation's value is a code of that meaning"),
        ),
    ),
)


def _definitions(base: str) -> Iterator[_Definition]:
    yield _Definition(
        SCORE,
        "Data quality score",
        "How good the resource is as data, 0 to 1: 0.5 completeness + 0.3 validity + 0.2"
        " consistency, the weights rescaled over the parts that exist.",
        ("Meta",),
        _Value(("decimal",), "Score from 0 to 1"),
    )
    yield _Definition(
        AGE,
        "Age",
        "Completed years on the day that the batch landed, of the deceased at death. A range where"
        " birth or death are known less precisely than to the day.",
        ("Patient",),
        _Value(("Quantity", "Range"), "Completed years, in UCUM a"),
    )
    yield _Definition(
        AGE_GROUP,
        "Age group",
        "Age group by the age; absent where the age may be of several groups.",
        ("Patient",),
        _Value(("code",), "Age group", value_set=canonical(base, "ValueSet", AGE_GROUP)),
    )
    yield _Definition(
        RISK_FACTOR,
        "Demographic risk factor",
        "A risk factor that age and sex alone make, on the day that the batch landed.",
        ("Patient",),
        _Value(("Coding",), "Risk factor", value_set=canonical(base, "ValueSet", RISK_FACTOR)),
        maximum="*",
    )
    yield _Definition(
        SIGNIFICANCE,
        "Clinical significance",
        "What the value means, by the observation's own reference range where one applies to the"
        " patient, else by a table of common vital signs and laboratory tests.",
        ("Observation", "Observation.component"),
        {
            "interpretation": _Value(
                ("Coding",), "HL7 v3 ObservationInterpretation", value_set=_INTERPRETATIONS
            ),
            "evidence": _Value(
                ("code",), "What it rests on", value_set=canonical(base, "ValueSet", _EVIDENCE)
            ),
            "interval": _Value(("Range",), "Limits between which a value is normal", minimum=0),
            "reason": _Value(("string",), "The limit that was passed or kept, and its source"),
        },
    )
    yield _Definition(
        ROW_COUNT,
        "Row count",
        "How many rows of a table an activity read or made.",
        ("Provenance.target", "Provenance.entity"),
        _Value(("unsignedInt",), "Rows"),
    )


def published(base: str) -> dict[str, bytes]:
    """Give the definitions for a base URL.

    Args:
        base: that the extensions share.

    Returns:
        Name of the file and its JSON, of each StructureDefinition, CodeSystem and ValueSet.
    """
    resources = [_structure(base, each) for each in _definitions(base)]
    for codes in _CODES:
        resources += _code_system(base, codes), _value_set(base, codes)
    return {
        f"{each['resourceType']}-{each['id']}.json": msgspec.json.format(
            msgspec.json.encode(each), indent=2
        )
        + b"\n"
        for each in resources
    }


def write_published(folder: UPath, base: str) -> None:
    """Write the definitions for a base URL into a folder; other files there stay."""
    make_folder(folder)
    for name, text in published(base).items():
        write_bytes(folder / name, text)


def _header(base: str, kind: str, name: str, title: str, description: str) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "id": name,
        "url": canonical(base, kind, name),
        "version": _VERSION,
        "name": title.title().replace(" ", ""),
        "title": title,
        "status": "active",
        "publisher": "hc_assets",
        "description": description,
    }


def _structure(base: str, made: _Definition) -> dict[str, Any]:
    header = _header(base, "StructureDefinition", made.name, made.title, made.description)
    root = {"id": "Extension", "path": "Extension", "short": made.title, "min": 0}
    elements = [{**root, "definition": made.description, "max": made.maximum}]
    own_url = url(base, made.name)
    if isinstance(made.content, _Value):
        elements += [_none("Extension.extension"), _url("Extension", own_url)]
        elements.append(_value("Extension", made.content))
    else:
        elements += _parts(made.content)
        elements += [_url("Extension", own_url), _none("Extension.value[x]")]
    return {
        **header,
        "url": own_url,
        "fhirVersion": "4.0.1",
        "kind": "complex-type",
        "abstract": False,
        "context": [{"type": "element", "expression": path} for path in made.contexts],
        "type": "Extension",
        "baseDefinition": _EXTENSION,
        "derivation": "constraint",
        "differential": {"element": elements},
    }


def _parts(parts: Mapping[str, _Value]) -> Iterator[dict[str, Any]]:
    discriminator = [{"type": "value", "path": "url"}]
    yield {
        "id": "Extension.extension",
        "path": "Extension.extension",
        "slicing": {"discriminator": discriminator, "ordered": False, "rules": "closed"},
    }
    for name, value in parts.items():
        slice_ = f"Extension.extension:{name}"
        yield {
            "id": slice_,
            "path": "Extension.extension",
            "sliceName": name,
            "short": value.short,
            "min": value.minimum,
            "max": "1",
        }
        yield _none("Extension.extension.extension", f"{slice_}.extension")
        yield _url("Extension.extension", name, slice_)
        yield _value("Extension.extension", value, slice_)


def _none(path: str, id_: str = "") -> dict[str, Any]:
    return {"id": id_ or path, "path": path, "max": "0"}


def _url(path: str, fixed: str, id_: str = "") -> dict[str, Any]:
    return {"id": f"{id_ or path}.url", "path": f"{path}.url", "fixedUri": fixed}


def _value(path: str, value: _Value, id_: str = "") -> dict[str, Any]:
    element: dict[str, Any] = {
        "id": f"{id_ or path}.value[x]",
        "path": f"{path}.value[x]",
        "short": value.short,
        "min": 1,
        "type": [{"code": code} for code in value.types],
    }
    if value.value_set:
        element["binding"] = {"strength": "required", "valueSet": value.value_set}
    return element


def _code_system(base: str, made: _Codes) -> dict[str, Any]:
    description = f"Codes of the extension {made.name}."
    return {
        **_header(base, "CodeSystem", made.name, made.title, description),
        "caseSensitive": True,
        "valueSet": canonical(base, "ValueSet", made.name),
        "content": "complete",
        "count": len(made.codes),
        "concept": [
            {"code": code, "display": display, "definition": definition}
            for code, display, definition in made.codes
        ],
    }


def _value_set(base: str, made: _Codes) -> dict[str, Any]:
    system = canonical(base, "CodeSystem", made.name)
    description = f"All codes of {system}."
    return {
        **_header(base, "ValueSet", made.name, made.title, description),
        "compose": {"include": [{"system": system}]},
    }


def main(arguments: Sequence[str]) -> None:
    """Write the definitions for the default base into the folder that is named."""
    write_published(UPath(arguments[0]), FhirSettings.model_fields["fhir_extension_base"].default)


if __name__ == "__main__":
    main(sys.argv[1:])
