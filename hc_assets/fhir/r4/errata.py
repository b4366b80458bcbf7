"""Invariants of R4 whose published expression doesn't say what their words and examples say.

Belongs here: the corrected expressions, each with its reason. All other invariants are evaluated as
published.
"""

# Key of an invariant and the type that it stands on -> the expression to evaluate instead.
CORRECTED: dict[tuple[str, str], str] = {
    # "fullUrl cannot be a version specific reference": of an absent fullUrl `contains` is empty,
    # and an empty outcome would count as broken, although fullUrl is optional.
    ("bdl-8", "Bundle.entry"): "fullUrl.empty() or fullUrl.contains('/_history/').not()",
    # "Must be <= 100": of an absent probability both sides of `implies` are empty.
    ("ras-2", "RiskAssessment.prediction"): (
        "probability.empty() or (probability is decimal implies (probability as decimal) <= 100)"
    ),
    # "If the operator is 'exists', the value must be a boolean": FHIR's boolean is spelled so;
    # Boolean is FHIRPath's own type, which no element has.
    ("que-7", "Questionnaire.item.enableWhen"): ("operator = 'exists' implies (answer is boolean)"),
    # "If the structure is not abstract, then there SHALL be a baseDefinition": the four logical
    # models that R4 publishes have none, and there is none that they could have.
    ("sdf-4", "StructureDefinition"): (
        "abstract = true or kind = 'logical' or baseDefinition.exists()"
    ),
}


def expression_of(key: str, type_name: str, published: str) -> str:
    """The expression to evaluate for an invariant.

    Args:
        key: the invariant's id.
        type_name: the type that it stands on.
        published: its expression in HL7's definitions.
    """
    return CORRECTED.get((key, type_name), published)
