"""From a published invariant to the check that the validator runs.

Belongs here: which published expressions are wrong and what stands for them, and how an expression
becomes a check. FHIRPath itself belongs to `fhir/fhirpath/__init__.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hc_assets.fhir.fhirpath import Environment, Node, TypeView, compile_expression

# A rule ready to be asked: does it hold for a node?
Check = Callable[[Node, Environment], bool]

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
# (class FHIRPathExpressionFixer of org.hl7.fhir.validation); by default these are those.
# Only what makes good data fail, or makes a rule differ from its text, is here: published
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


def corrected(key: str, expression: str) -> str:
    """The expression to evaluate for an invariant.

    Args:
        key: the invariant's key.
        expression: the expression as published.

    Returns:
        The correction where the published expression is a known error of R4, else the same.
    """
    return _CORRECTED.get((key, expression), expression)


def checker(key: str, expression: str, types: TypeView) -> Check:
    """The check for an invariant.

    Args:
        key: the invariant's key.
        expression: the expression as published, or as corrected.
        types: the types of the data.

    Returns:
        A function of a node and its context: True where the invariant holds. It raises
        EvaluationError where the expression has no value on the data (HL7's validator counts that
        as broken) and its subclass UndecidableError where that depends on what isn't at hand.

    Raises:
        FhirPathSyntaxError: the expression can't be compiled.
    """
    return compile_expression(corrected(key, expression), types).holds
