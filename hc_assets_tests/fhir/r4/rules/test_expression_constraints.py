"""Expression constraints of SNOMED CT are told from texts that are none.

Belongs here: the syntax. That filters of value sets are held to it is in
`hc_assets_tests/fhir/validation/test_validation_of_values.py`.
"""

import pytest

from hc_assets.fhir.r4.rules.expression_constraints import is_expression_constraint

CONSTRAINTS = [
    "404684003 |Clinical finding|",
    "<<73211009|Diabetes|",
    "<! 404684003",
    ">>! 40541001",
    "!!> (<<1234567)",
    "^ 700043003 |Example problem list|",
    '^ [referencedComponentId, mapTarget] 447562003 {{ M mapTarget = "J45.9" }}',
    "^ (< 450973005)",
    "*",
    "descendantOrSelfOf 404684003",
    "LOINC#54486-6",
    "< 19829001 |a| : 116676008 |b| = << 79654002 |c|, 363698007 = << 39057004",
    "<404684003:{363698007=<<39057004,116676008=<<415582006},{363698007=<<53085002}",
    "<404684003: [1..*] {[0..0] 127489000 != <105590001}",
    "<27658006: 411116001 = #-3.5, 1142135004 >= #250",
    '<27658006: 209999999104 = "a \\" b"',
    '<27658006: 209999999104 = ("a" "b")',
    "<27658006: 859999999102 = true",
    "<404684003: (363698007 = <<39057004 OR 116676008 = <<415582006), 116676008 = 415582006",
    "<404684003: (<1234567 OR 7654321) = *",
    "<91723000: R 363698007 = <125605004",
    "<125605004 . 363698007 . 116676008",
    "(<404684003 AND <64572001) MINUS <1234567",
    "<<195967001 /* a comment */ OR 404684003",
    '< 64572001 {{ term = "}} heart", language = en }} {{ + HISTORY-MIN }}',
    "<404684003: 47429007 = (<404684003: 116676008 = <<55641003)",
]
OTHERS = [
    "",
    "asthma",
    "12345",
    "234234 << 234234",
    "404684003 404684003",
    "<404684003 AND",
    "<404684003:",
    "<404684003: 363698007 =",
    "<404684003: {363698007 = *",
    "(404684003",
    "404684003)",
    "<<",
    "404684003 & 404684003",
    "404684003 {{ term",
    "(" * 5000,
]


@pytest.mark.parametrize("text", CONSTRAINTS)
def test_constraints_can_be_read(text: str) -> None:
    assert is_expression_constraint(text)
    assert is_expression_constraint(f"  {text}\n")


@pytest.mark.parametrize("text", OTHERS, ids=lambda text: text[:30])
def test_other_texts_are_none(text: str) -> None:
    assert not is_expression_constraint(text)
