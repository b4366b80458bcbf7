"""Finds the code systems that HL7's package holds whole, for `fhir/r4/code_systems.py`.

Belongs here: CodeSystem resources to lists of codes. Value sets belong to `expansion.py`.
"""

import gzip

import msgspec

from hc_assets.fhir.r4.build.expansion import concepts_of
from hc_assets.fhir.r4.build.package import Package
from hc_assets.fhir.r4.code_systems import CodeSystem


def build_code_systems(package: Package) -> bytes:
    """Compile the complete code systems of a package.

    Args:
        package: HL7's definitions.

    Returns:
        Gzipped JSON; the same bytes for the same package. A URL with `|version` counts as the URL:
        codes of all its versions are in one list. Without any code there is nothing to look up.
    """
    found: dict[str, CodeSystem] = {}
    for url, resource in sorted(package.code_systems.items()):
        codes = [concept["code"] for concept, _ in concepts_of(resource)]
        if resource.get("content") != "complete" or resource.get("compositional") or not codes:
            continue
        name = url.partition("|")[0]
        before = found.get(name, CodeSystem(()))
        versions = [resource["version"]] if "version" in resource else []
        found[name] = CodeSystem(
            codes=tuple(dict.fromkeys([*before.codes, *codes])),
            versions=tuple(dict.fromkeys([*before.versions, *versions])),
            ignores_case=before.ignores_case or not resource.get("caseSensitive", False),
        )
    # The time of the build stays out of the gzip header, or no rebuild would be the same.
    return gzip.compress(msgspec.json.encode(found), compresslevel=9, mtime=0)
