"""Invariants that HL7's own published resources break, so that they are taken more mildly here.

Belongs here: corrections that come from looking at R4's published resources. Expressions that don't
say what their words say are corrected in `invariants.py`.
"""

from hc_assets.fhir.r4.invariants import corrected

_SDF_4 = "abstract = true or baseDefinition.exists()"


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
