"""How many of HL7's FHIRPath tests for R4 pass: docs/fhirpath-score.md.

Belongs here: running the suite and saying why each other test has another result. The suite is not
part of the project: it comes from FHIR/fhir-test-cases.
"""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec

from benchmarks import fhir_xml
from hc_assets.fhir.fhirpath import (
    Environment,
    FhirPathError,
    Item,
    Node,
    TypeView,
    check_strictly,
    compile_expression,
    resource_node,
)
from hc_assets.fhir.fhirpath.functions.conversions import printed
from hc_assets.fhir.fhirpath.singletons import truth_of
from hc_assets.fhir.fhirpath.types import system_type
from hc_assets.fhir.r4.definitions import r4

ROOT = Path(__file__).resolve().parents[1]
SUITE = ROOT.parent / "shared" / "data" / "fhir" / "fhirpath"
DOCUMENT = ROOT / "docs" / "fhirpath-score.md"
NOW = datetime(2026, 11, 1, 12, 30, 15, 250_000, UTC)

# Why a test has another result here, by its name.
_AS_WRITTEN = (
    "A boundary holds all that the value may be: rounded inwards, 0.0 would not hold 0.00345."
)
_HOUR = "An hour ends with its last minute; the suite takes 08 for 08:00."
_SUBTYPE = "A code is a string by FHIR's types, and FHIRPath's ofType keeps subtypes."
REASONS = {
    "testPolymorphicsB": "An element that the type doesn't have is an error in the strict mode"
    " alone, which the suite doesn't ask for here.",
    "testSort10": "In descending order what has no key comes last, as FHIRPath has it.",
    "testPlusDate19": "Fractions of a second count; FHIRPath ignores them above seconds alone.",
    "testType22": "A type that there is not is an error when the expression is compiled.",
    "LowBoundaryDecimal15": _AS_WRITTEN,
    "HighBoundaryDecimal15": _AS_WRITTEN,
    "HighBoundaryDecimal16": _AS_WRITTEN,
    "HighBoundaryDateTimeMillisecond1": _HOUR,
    "HighBoundaryDateTimeMillisecond3": _HOUR,
    "testFHIRPathAsFunction11": _SUBTYPE,
    "testFHIRPathAsFunction16": _SUBTYPE,
    "testFHIRPathAsFunction21": "`as` keeps what fits of several items: R4's own dom-3 needs that.",
}
_PROFILE = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True)
class Case:
    """One test of the suite.

    Attributes:
        name: of the test.
        group: that it stands in.
        expression: FHIRPath.
        file: that it looks at; "" for none.
        expected: the values, each with its type ("" where the suite names none).
        invalid: what kind of error it must end with; "" for none.
        is_predicate: the truth of the result is compared.
        is_ordered: the order of the values counts.
        is_strict: the expression is held to the types before it is evaluated.
    """

    name: str
    group: str
    expression: str
    file: str
    expected: tuple[tuple[str, str], ...]
    invalid: str
    is_predicate: bool
    is_ordered: bool
    is_strict: bool


def cases(folder: Path) -> Iterator[Case]:
    """All tests of the suite."""
    suite = ET.fromstring((folder / "tests-fhir-r4.xml").read_text())  # noqa: S314 - HL7's
    for group in suite.iter("group"):
        for test in (each for each in group if each.tag in ("test", "modeTest")):
            expression = test.find("expression")
            assert expression is not None
            yield Case(
                test.get("name", ""),
                group.get("name", ""),
                expression.text or "",
                test.get("inputfile", ""),
                tuple((each.get("type", ""), each.text or "") for each in test.findall("output")),
                expression.get("invalid", ""),
                test.get("predicate") == "true",
                test.get("ordered") != "false",
                "strict" in (test.get("mode"), expression.get("mode")),
            )


@cache
def _types() -> TypeView:
    return TypeView(r4())


@cache
def _input(path: Path) -> Node:
    if path.suffix == ".json":
        return resource_node(msgspec.json.Decoder(float_hook=Decimal).decode(path.read_bytes()))
    return resource_node(fhir_xml.resource(path.read_text()))


def fault(case: Case, folder: Path) -> str:
    """What a test gives in place of what the suite expects; "" where it is the same."""
    node = _input(folder / case.file) if case.file else resource_node({"resourceType": "Basic"})
    try:
        compiled = compile_expression(case.expression, _types())
        if case.is_strict:
            check_strictly(case.expression, _types(), node.type_name)
        found = compiled.evaluate(node, _setting(node))
        results: list[Item] = [truth_of(found) is True] if case.is_predicate else [*found]
    except FhirPathError as error:
        return "" if case.invalid else f"an error: {error}"
    texts = [(_type(item), printed(item) or "") for item in results]
    if case.invalid:
        return f"{_shown(texts)} instead of an error"
    expected = [(kind, text.removeprefix("@").removeprefix("T")) for kind, text in case.expected]
    if not case.is_ordered:
        texts, expected = sorted(texts), sorted(expected)
    same = len(texts) == len(expected) and all(
        text == wanted and kind in ("", got)
        for (got, text), (kind, wanted) in zip(texts, expected, strict=True)
    )
    return "" if same else _shown(texts)


def _setting(node: Node) -> Environment:
    return Environment(node, node, conforms_to=_conforms_to, now=NOW, is_lenient=True)


def _conforms_to(node: Node, url: str) -> bool | None:
    """Whether an example, which is valid, is of the type that R4's own profile is of."""
    name = url.removeprefix(_PROFILE)
    return _types().is_a(node.type_name, name) if name in r4().type_names else None


def _type(item: Item) -> str:
    if isinstance(item, Node):
        return item.type_name
    name = system_type(item)
    return name if name == "Quantity" else name[:1].lower() + name[1:]


def _shown(texts: list[tuple[str, str]]) -> str:
    return ", ".join(f"{kind} {text}" for kind, text in texts) or "nothing"


def score(folder: Path) -> str:
    """Run the suite and render the result as Markdown.

    Raises:
        KeyError: a test has another result, and no reason for that is named.
    """
    suite = list(cases(folder))
    faults = [(case, found) for case in suite if (found := fault(case, folder))]
    total, failed = Counter(c.group for c in suite), Counter(c.group for c, _ in faults)
    lines = [
        "# FHIRPath beside HL7's tests",
        "",
        "Generated by `python -m benchmarks.fhirpath_score` from HL7's FHIRPath tests for R4",
        "(FHIR/fhir-test-cases), examples in XML read as the JSON that they stand for.",
        "",
        f"- Tests that pass: {len(suite) - len(faults)} of {len(suite)}",
        "",
        "Each other test:",
        "",
        "| test | expression | expected | here | why |",
        "| --- | --- | --- | --- | --- |",
        *(_row(case, found) for case, found in faults),
        "",
        "| group | pass | of |",
        "| --- | --- | --- |",
        *(f"| {name} | {count - failed[name]} | {count} |" for name, count in total.items()),
    ]
    return "\n".join(lines) + "\n"


def _row(case: Case, found: str) -> str:
    expected = f"{case.invalid} error" if case.invalid else _shown(list(case.expected)).strip()
    cells = (
        case.name,
        f"`{' '.join(case.expression.split())}`",
        expected,
        found,
        REASONS[case.name],
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    DOCUMENT.write_text(score(SUITE))
    print(DOCUMENT.read_text())
