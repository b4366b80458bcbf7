"""FHIRPath's grammar: precedence, literals, escapes, and what is refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.fhirpath import FhirPathError, FhirPathSyntaxError, Quantity, Temporal
from hc_assets.fhir.fhirpath.parser import MAX_DEPTH, parse
from hc_assets.fhir.fhirpath.syntax import (
    Call,
    Constant,
    EmptyCollection,
    Indexer,
    Literal,
    Member,
    Operation,
    TypeOperation,
    Unary,
    Variable,
)


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("a or b and c", "a or (b and c)"),
        ("a implies b or c", "a implies (b or c)"),
        ("a implies b implies c", "(a implies b) implies c"),
        ("a = b and c", "(a = b) and c"),
        ("a in b = c", "a in (b = c)"),
        ("a < b = c", "(a < b) = c"),
        ("a | b = c", "(a | b) = c"),
        ("a is b | c", "(a is b) | c"),
        ("a + b is c", "(a + b) is c"),
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("'#'+id in a", "('#' + id) in a"),
        ("-a + b", "(-a) + b"),
        ("-a.b", "-(a.b)"),
        ("a or b xor c", "(a or b) xor c"),
        ("a // comment\n or /* or c */ b", "a or b"),
    ],
)
def test_operators_bind_as_the_grammar_says(text: str, same_as: str) -> None:
    assert parse(text) == parse(same_as)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'a'", "a"),
        (r"'\'\"\`\\\/\r\n\t\f\u00e9'", "'\"`\\/\r\n\t\fé"),
        ("true", True),
        ("false", False),
        ("12", 12),
        ("1.50", Decimal("1.50")),
        ("4 'mg'", Quantity(Decimal(4), "mg", is_ucum=True)),
        ("3 days", Quantity(Decimal(3), "day", is_ucum=False)),
        ("@2014", Temporal(False, (2014,), False)),
        ("@2014-01-25", Temporal(False, (2014, 1, 25), False)),
        ("@2015T", Temporal(False, (2015,), False)),
        ("@T14:30", Temporal(True, (14, 30), False)),
        (
            "@2014-01-25T14:30:14.559+10:00",
            Temporal(False, (2014, 1, 25, 4, 30, Decimal("14.559")), True),
        ),
    ],
)
def test_literals_keep_their_value(text: str, value: object) -> None:
    tree = parse(text)
    assert tree == Literal(value)  # type: ignore[arg-type]
    assert type(tree.value) is type(value)  # type: ignore[union-attr]


def test_each_form_has_its_node() -> None:
    assert parse("{}") == EmptyCollection()
    assert parse("$this.a[0]") == Indexer(Member(Variable("this"), "a"), Literal(0))
    assert parse("%resource.`div`") == Member(Constant("resource"), "div")
    assert parse("%`ext-a`") == Constant("ext-a")
    assert parse("a as FHIR.uri") == TypeOperation("as", Member(None, "a"), "FHIR.uri")
    assert parse("-1") == Unary("-", Literal(1))
    assert parse("a.contains('b', c)") == Call(
        Member(None, "a"), "contains", (Literal("b"), Member(None, "c")), 2
    )


def test_long_lists_of_alternatives_do_not_nest() -> None:
    tree = parse(" | ".join(f"'{number}'" for number in range(1000)))
    assert isinstance(tree, Operation)
    assert len(tree.operands) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a or",
        "a b",
        "a.",
        "a.1",
        "(a",
        "a)",
        "a[",
        "f(a,",
        "'open",
        "`open",
        r"'\q'",
        r"'\u12'",
        "@2014-13-01",
        "@2014-02-30",
        "@T25:00",
        "a and and b",
        "a.$this",
        "%",
        "#",
        "1" * 40,
        "a." * 3000 + "a",
        "a" + ".a" * (MAX_DEPTH + 1),
        "(" * 2000 + "a" + ")" * 2000,
        "-" * 2000 + "1",
        "a" + " = a" * 500,
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(FhirPathSyntaxError):
        parse(text)


def test_the_place_of_the_fault_is_reported() -> None:
    with pytest.raises(FhirPathSyntaxError, match="character 9") as caught:
        parse("a.exists(")
    assert caught.value.position == 9


_WORDS = "a or and is as in div 1 1.5 'x' $this %resource where( exists() @2014 @T10:00 != days //"
_PIECES = st.sampled_from([*"().,[]{}|&=<>~!+-*/%$@`'\\ \n", "/*", *_WORDS.split()])


@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=40).map("".join)))
def test_any_text_parses_or_raises_the_modules_own_error(text: str) -> None:
    try:
        parse(text)
    except FhirPathError:
        return
