"""What our extensions mean, as FHIR publishes it: StructureDefinitions and the codes they use.

Belongs here: writing the definitions, for any base URL. What the rules of enrichment add is in
`rules.py`. Those for the default base lie in `docs/fhir/`
(`python -m hc_assets.fhir.enrichment.extension_definitions docs/fhir`), those of a deployment in
its exports.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from upath import UPath

from hc_assets.fhir.enrichment.extension_model import (
    CodeSystem,
    ExtensionDefinition,
    ExtensionValue,
)
from hc_assets.fhir.enrichment.extensions import JUDGED_RESOURCE, ROW_COUNT, SCORE, canonical, url
from hc_assets.fhir.enrichment.rules import RULES, Rule
from hc_assets.fhir.settings import FhirSettings
from hc_assets.lake.atomic import make_folder, write_bytes

_VERSION = "1.0.0"
_EXTENSION = "http://hl7.org/fhir/StructureDefinition/Extension"


_SCORE = ExtensionDefinition(
    SCORE,
    "Data quality score",
    "How good the resource is as data, 0 to 1: 0.5 completeness + 0.3 validity + 0.2"
    " consistency, the weights rescaled over the parts that exist.",
    ("Meta",),
    ExtensionValue(("decimal",), "Score from 0 to 1"),
)
_ROW_COUNT = ExtensionDefinition(
    ROW_COUNT,
    "Row count",
    "How many rows of a table an activity read or made.",
    ("Provenance.target", "Provenance.entity"),
    ExtensionValue(("unsignedInt",), "Rows"),
)
_JUDGED = ExtensionDefinition(
    JUDGED_RESOURCE,
    "Judged resource",
    "The resource that a validation reports on.",
    ("OperationOutcome",),
    {
        "line": ExtensionValue(
            ("positiveInt",), "Line of the file that it, or the Bundle around it, begins in", 1
        ),
        "entry": ExtensionValue(("unsignedInt",), "Number of its entry in the Bundle, from 0", 0),
        "type": ExtensionValue(
            ("string",), "Its type; unknown where FHIR has none of that name", 1
        ),
        "id": ExtensionValue(("string",), "Its id, as it is written", 0),
    },
)


def published(base: str, rules: Iterable[Rule] = RULES) -> dict[str, bytes]:
    """Return the definitions for a base URL.

    Args:
        base: that the extensions share.
        rules: of enrichment, which say what they add.

    Returns:
        Name of the file and its JSON, of each StructureDefinition, CodeSystem and ValueSet.
    """
    of_rules = [each for rule in rules for each in rule.extensions]
    resources = [_structure(base, each) for each in (_SCORE, *of_rules, _ROW_COUNT, _JUDGED)]
    for codes in (each for rule in rules for each in rule.codes):
        resources += _code_system(base, codes), _value_set(base, codes)
    return {
        f"{each['resourceType']}-{each['id']}.json": msgspec.json.format(
            msgspec.json.encode(each), indent=2
        )
        + b"\n"
        for each in resources
    }


def write_published(folder: UPath, base: str) -> list[str]:
    """Write the definitions for a base URL into a folder; other files there stay.

    Returns:
        Names of the files.
    """
    make_folder(folder)
    files = published(base)
    for name, text in files.items():
        write_bytes(folder / name, text)
    return list(files)


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


def _structure(base: str, made: ExtensionDefinition) -> dict[str, Any]:
    header = _header(base, "StructureDefinition", made.name, made.title, made.description)
    root = {"id": "Extension", "path": "Extension", "short": made.title, "min": 0}
    elements = [{**root, "definition": made.description, "max": made.maximum}]
    own_url = url(base, made.name)
    if isinstance(made.content, ExtensionValue):
        elements += [_none("Extension.extension"), _url("Extension", own_url)]
        elements.append(_value(base, "Extension", made.content))
    else:
        elements += _parts(base, made.content)
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


def _parts(base: str, parts: Mapping[str, ExtensionValue]) -> Iterator[dict[str, Any]]:
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
        yield _value(base, "Extension.extension", value, slice_)


def _none(path: str, id_: str = "") -> dict[str, Any]:
    return {"id": id_ or path, "path": path, "max": "0"}


def _url(path: str, fixed: str, id_: str = "") -> dict[str, Any]:
    return {"id": f"{id_ or path}.url", "path": f"{path}.url", "fixedUri": fixed}


def _value(base: str, path: str, value: ExtensionValue, id_: str = "") -> dict[str, Any]:
    element: dict[str, Any] = {
        "id": f"{id_ or path}.value[x]",
        "path": f"{path}.value[x]",
        "short": value.short,
        "min": 1,
        "type": [{"code": code} for code in value.types],
    }
    if value.value_set:
        value_set = value.value_set
        if ":" not in value_set:
            value_set = canonical(base, "ValueSet", value_set)
        element["binding"] = {"strength": "required", "valueSet": value_set}
    return element


def _code_system(base: str, made: CodeSystem) -> dict[str, Any]:
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


def _value_set(base: str, made: CodeSystem) -> dict[str, Any]:
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
