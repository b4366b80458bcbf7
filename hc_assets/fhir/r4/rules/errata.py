"""Rules that HL7's own published resources break, so that they are taken more mildly here.

Belongs here: corrections that come from looking at R4's published resources. Expressions that don't
say what their words say are corrected in `invariants.py`.
"""

from hc_assets.fhir.r4.definitions import is_definition
from hc_assets.fhir.r4.issues import Severity
from hc_assets.fhir.r4.rules.invariants import corrected

_SDF_4 = "abstract = true or baseDefinition.exists()"

# Elements of R4 and types of resources that HL7's published examples refer to from there, although
# the definitions name others.
_TARGETS_IN_USE = frozenset(
    {
        ("DeviceMetric.parent", "DeviceDefinition"),
        ("DeviceUseStatement.reasonReference", "Procedure"),
        ("MedicationRequest.dispenseRequest.performer", "Practitioner"),
        ("Observation.performer", "Encounter"),
    }
)

# Extensions that HL7's published definitions carry where these extensions' contexts don't let them.
_EXTENSIONS_IN_USE = frozenset(
    f"http://hl7.org/fhir/StructureDefinition/{name}"
    for name in (
        "regex",
        "structuredefinition-fhir-type",
        "structuredefinition-normative-version",
        "translation",
        "valueset-concept-comments",
    )
)


def severity_of_context(url: str, resource_type: str) -> Severity:
    """How much it weighs that an extension stands where its context doesn't let it.

    Args:
        url: the extension's.
        resource_type: the type of the resource that it is in.
    """
    is_published_so = url in _EXTENSIONS_IN_USE and is_definition(resource_type)
    return "warning" if is_published_so else "error"


def severity_of_target(element: str, resource_type: str) -> Severity:
    """How much it weighs that a reference names a type that its element doesn't allow.

    Args:
        element: path of the element in the definitions, such as `Observation.performer`.
        resource_type: the type that is named.
    """
    return "warning" if (element, resource_type) in _TARGETS_IN_USE else "error"


def expression_of(key: str, published: str) -> str:
    """The expression to evaluate for an invariant.

    Args:
        key: the invariant's id.
        published: its expression in HL7's definitions.
    """
    if key == "sdf-4" and published == _SDF_4:
        # "If the structure is not abstract, then there SHALL be a baseDefinition": the four logical
        # models that R4 publishes (Definition, Event, FiveWs, Request) have none, and there is none
        # that they could have.
        return f"kind = 'logical' or {published}"
    return corrected(key, published)
