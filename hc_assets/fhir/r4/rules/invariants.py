"""From a published invariant to the check that the validator runs.

Belongs here: which published expressions are wrong and what stands for them, and the choice between
a hand-written check and the compiled expression. FHIRPath itself belongs to
`fhir/fhirpath/__init__.py`, the hand-written checks to `native_invariants.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hc_assets.fhir.fhirpath import TypeView, compile_expression
from hc_assets.fhir.r4.rules.native_invariants import RULES, Check, NativeRule

_NAME_RULES = frozenset(
    f"{prefix}-0"
    for prefix in (
        *("adf", "cid", "cmd", "cpb", "cpd", "csd", "ees", "esc", "evd", "evi", "evv", "gdf"),
        *("ig", "lib", "mea", "msd", "nsd", "opd", "pdf", "que", "red", "rsd", "rvs", "sdf"),
        *("smp", "spd", "tcp", "tst", "vsd"),
    )
)


@dataclass(frozen=True, slots=True)
class Erratum:
    """A published expression that doesn't say what the rule says, and what stands for it.

    Attributes:
        keys: the invariants that are published with it.
        published: the expression in R4 4.0.1.
        corrected: the expression that is evaluated in its place.
        reason: what is wrong with the published one, and where the correction comes from.
    """

    keys: frozenset[str]
    published: str
    corrected: str
    reason: str


_REFERENCE = (
    "reference.startsWith('#').not() or "
    "(reference.substring(1).trace('url') in %rootResource.contained.id.trace('ids'))"
)
_PATH = r"""[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]{1,64}"""
_PATHS = rf"{_PATH}(\\.{_PATH}(\\[x\\])?(\\:[^\\s\\.]+)?)*"
_SIMPLE_PATHS = r"[A-Za-z][A-Za-z0-9]*(\\.[a-z][A-Za-z0-9]*(\\[x])?)*"
_WHOLE_TEXT = (
    "R4 was published when matches() meant the whole text; FHIRPath has since made it mean any "
    "part of it, so the pattern needs its anchors. HL7's validator substitutes the same"
)

# HL7's own validator evaluates substitutes for published expressions that it found to be wrong
# (class FHIRPathExpressionFixer of org.hl7.fhir.validation); unless said otherwise these are those.
# Only what makes good data fail, or a rule say something else than its text, is here: published
# expressions that can never fail stay as they are (ppc-2 to ppc-5 look for the code system
# 'something', eld-11 asks whether a truth value exists), and so does con-3, which warns of every
# Condition that has a category and no clinicalStatus.
ERRATA = (
    Erratum(
        _NAME_RULES,
        "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')",
        "name.exists() implies name.matches('^[A-Z]([A-Za-z0-9_]){0,254}$')",
        f"{_WHOLE_TEXT}. Without a name the published one has no value, though none is required",
    ),
    Erratum(
        frozenset({"eld-19"}),
        f"path.matches('{_PATHS}')",
        f"path.matches('^{_PATHS}$')",
        _WHOLE_TEXT,
    ),
    Erratum(
        frozenset({"eld-20"}),
        f"path.matches('{_SIMPLE_PATHS}')",
        f"path.matches('^{_SIMPLE_PATHS}$')",
        _WHOLE_TEXT,
    ),
    Erratum(
        frozenset({"ref-1"}),
        _REFERENCE,
        f"reference.exists() implies (reference = '#' or ({_REFERENCE}))",
        "Without a reference, for example with an identifier alone, the published one has no "
        "value; and '#' means the container itself, which it doesn't let pass",
    ),
    Erratum(
        frozenset({"bdl-8"}),
        "fullUrl.contains('/_history/').not()",
        "fullUrl.exists() implies fullUrl.contains('/_history/').not()",
        "Without a fullUrl, which entries may lack, the published one has no value",
    ),
    Erratum(
        frozenset({"que-12"}),
        "enableWhen.count() > 2 implies enableBehavior.exists()",
        "enableWhen.count() >= 2 implies enableBehavior.exists()",
        "The rule says 'more than one'; the published one lets two pass",
    ),
    Erratum(
        frozenset({"que-7"}),
        "operator = 'exists' implies (answer is Boolean)",
        "operator = 'exists' implies (answer is boolean)",
        "Boolean is FHIRPath's own type, which no element has, so the published one never lets "
        "'exists' pass. HL7's validator compares the names of types without regard to case; R5 "
        "has the correction",
    ),
    Erratum(
        frozenset({"ras-2"}),
        "probability is decimal implies (probability as decimal) <= 100",
        "probability.empty() or "
        "((probability is decimal) implies ((probability as decimal) <= 100))",
        "Without a probability, which isn't required, the published one has no value",
    ),
    Erratum(
        frozenset({"txt-2"}),
        "htmlChecks()",
        "htmlChecks2()",
        "Published with the expression of txt-1; the rule asks for content that isn't white space",
    ),
)

_CORRECTED: Mapping[tuple[str, str], str] = {
    (key, erratum.published): erratum.corrected for erratum in ERRATA for key in erratum.keys
}

# The expression, as corrected, that each hand-written check stands for: a profile may give the same
# key to another expression, which then is compiled.
_NATIVE_EXPRESSIONS: Mapping[str, str] = {
    "ele-1": "hasValue() or (children().count() > id.count())",
    "ext-1": "extension.exists() != value.exists()",
    "dom-2": "contained.contained.empty()",
    "dom-3": (
        "contained.where((('#'+id in (%resource.descendants().reference | "
        "%resource.descendants().as(canonical) | %resource.descendants().as(uri) | "
        "%resource.descendants().as(url))) or descendants().where(reference = '#').exists() or "
        "descendants().where(as(canonical) = '#').exists() or "
        "descendants().where(as(canonical) = '#').exists()).not())"
        ".trace('unmatched', id).empty()"
    ),
    "dom-4": "contained.meta.versionId.empty() and contained.meta.lastUpdated.empty()",
    "dom-5": "contained.meta.security.empty()",
    "dom-6": "text.`div`.exists()",
    "ref-1": f"reference.exists() implies (reference = '#' or ({_REFERENCE}))",
    "per-1": "start.hasValue().not() or end.hasValue().not() or (start <= end)",
    "qty-3": "code.empty() or system.exists()",
    "txt-1": "htmlChecks()",
    "txt-2": "htmlChecks2()",
    "obs-3": "low.exists() or high.exists() or text.exists()",
    "obs-6": "dataAbsentReason.empty() or value.empty()",
    "obs-7": (
        "value.empty() or "
        "component.code.where(coding.intersect(%resource.code.coding).exists()).empty()"
    ),
    "bdl-1": "total.empty() or (type = 'searchset') or (type = 'history')",
    "bdl-2": "entry.search.empty() or (type = 'searchset')",
    "bdl-3": (
        "entry.all(request.exists() = (%resource.type = 'batch' or "
        "%resource.type = 'transaction' or %resource.type = 'history'))"
    ),
    "bdl-4": (
        "entry.all(response.exists() = (%resource.type = 'batch-response' or "
        "%resource.type = 'transaction-response' or %resource.type = 'history'))"
    ),
    "bdl-5": "resource.exists() or request.exists() or response.exists()",
    "bdl-7": (
        "(type = 'history') or entry.where(fullUrl.exists())"
        ".select(fullUrl&resource.meta.versionId).isDistinct()"
    ),
    "bdl-8": "fullUrl.exists() implies fullUrl.contains('/_history/').not()",
    "bdl-9": "type = 'document' implies (identifier.system.exists() and identifier.value.exists())",
    "bdl-10": "type = 'document' implies (timestamp.hasValue())",
    "bdl-11": "type = 'document' implies entry.first().resource.is(Composition)",
    "bdl-12": "type = 'message' implies entry.first().resource.is(MessageHeader)",
}


def corrected(key: str, expression: str) -> str:
    """The expression to evaluate for an invariant.

    Args:
        key: the invariant's key.
        expression: the expression as published.

    Returns:
        The correction where the published expression is a known error of R4, else the same.
    """
    return _CORRECTED.get((key, expression), expression)


def native(key: str, expression: str) -> NativeRule | None:
    """The hand-written check of an invariant.

    Args:
        key: the invariant's key.
        expression: its expression, as corrected. Keys alone don't do: `inv-1` is three rules of
            R4, and a profile may use any key again.

    Returns:
        A function from the types and the compiled expression's check to the check; None where
        there is none for that expression.
    """
    return RULES[key] if _NATIVE_EXPRESSIONS.get(key) == expression else None


def checker(key: str, expression: str, types: TypeView) -> Check:
    """The check for an invariant, as fast as there is.

    Args:
        key: the invariant's key.
        expression: the expression as published.
        types: the types of the data.

    Returns:
        A function of a node and what it stands in: True where the invariant holds. It raises
        EvaluationError where the expression has no value on the data (HL7's validator counts that
        as broken) and its subclass UndecidableError where that depends on what isn't at hand.

    Raises:
        FhirPathSyntaxError: the expression can't be compiled.
    """
    to_evaluate = corrected(key, expression)
    general: Callable[..., bool] = compile_expression(to_evaluate, types).holds
    rule = native(key, to_evaluate)
    return general if rule is None else rule(types, general)
