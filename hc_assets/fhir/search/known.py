"""All search parameters of a deployment: R4's, and those that HC_SEARCH_PARAMETERS names.

Belongs here: finding the files, and what they add up to. What is wrong with a definition is found
in `own_parameters.py`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from hc_assets.core.errors import UsageError
from hc_assets.fhir.search.index import Index
from hc_assets.fhir.search.own_parameters import ParameterError, read_parameters
from hc_assets.fhir.search.parameters import Parameter, parameters_of
from hc_assets.fhir.settings import FhirSettings

_TYPE = "SearchParameter"


class OwnParametersError(UsageError):
    """A file of HC_SEARCH_PARAMETERS, or a definition in it, can't be used."""


@dataclass(frozen=True)
class OwnParameters:
    """Parameters that are not R4's.

    Attributes:
        by_type: of each resource type.
        digest: of their definitions; "" where there are none.
    """

    by_type: Mapping[str, tuple[Parameter, ...]]
    digest: str


@cache
def own_parameters() -> OwnParameters:
    """Those of the deployment, read once in the life of a process.

    Raises:
        OwnParametersError: says which file or definition can't be used.
    """
    return read_files(FhirSettings().search_parameters)


def read_files(paths: Sequence[Path]) -> OwnParameters:
    """Read SearchParameter resources, alone or in Bundles.

    Args:
        paths: of files of JSON, and of folders of them.

    Raises:
        OwnParametersError: says which file or definition can't be used.
    """
    definitions = [each for path in paths for each in _definitions(path)]
    if not definitions:
        return OwnParameters({}, "")
    try:
        found = read_parameters(definitions)
    except ParameterError as error:
        raise OwnParametersError(f"HC_SEARCH_PARAMETERS: {error}") from error
    text = json.dumps(definitions, sort_keys=True)
    return OwnParameters(found, sha256(text.encode()).hexdigest()[:16])


def _definitions(path: Path) -> Iterator[Mapping[str, Any]]:
    for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
        try:
            document = json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise OwnParametersError(f"HC_SEARCH_PARAMETERS: {file} is no file of JSON") from error
        entries = document.get("entry", ()) if isinstance(document, dict) else ()
        found = [each.get("resource") for each in entries] if entries else [document]
        for each in found:
            if not isinstance(each, dict) or each.get("resourceType") != _TYPE:
                raise OwnParametersError(f"HC_SEARCH_PARAMETERS: {file} holds no {_TYPE}")
            yield each


def known_parameters(resource_type: str) -> tuple[Parameter, ...]:
    """All of a resource type; one of the deployment's replaces that of R4 of its name.

    Args:
        resource_type: a name of R4.
    """
    found = {each.code: each for each in parameters_of(resource_type)}
    found |= {each.code: each for each in own_parameters().by_type.get(resource_type, ())}
    return tuple(found[code] for code in sorted(found))


@cache
def known_index(resource_type: str) -> Index:
    """The index of all parameters of a resource type."""
    return Index(resource_type, known_parameters(resource_type))
