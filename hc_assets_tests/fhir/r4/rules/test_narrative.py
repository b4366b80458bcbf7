"""What a narrative may hold, and what counts as content."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.r4.rules.narrative import has_content, narrative_dangers, narrative_fault
from hc_assets.fhir.validation import validate

_NS = 'xmlns="http://www.w3.org/1999/xhtml"'


@pytest.mark.parametrize(
    "inner",
    [
        "text",
        "<p>a <b>b</b><br/></p>",
        '<table class="x"><tr><td rowspan="2">1</td></tr></table>',
        '<a href="http://x" title="t">x</a> <img src="#i" alt="y"/>',
        "&lt; &gt; &amp; &quot; &apos; &#233; &#xA0; é",
        "<!-- a comment -->x",
        '<p xml:lang="de" style="color: red">x</p>',
    ],
)
def test_formatting_links_images_and_entities_of_xml_are_allowed(inner: str) -> None:
    assert narrative_fault(f"<div {_NS}>{inner}</div>") is None
    assert has_content(f"<div {_NS}>{inner}</div>")


@pytest.mark.parametrize(
    ("div", "fault"),
    [
        (f"<div {_NS}><script>x</script></div>", "element"),
        (f"<div {_NS}><form/></div>", "element"),
        (f"<div {_NS}><iframe/></div>", "element"),
        (f'<div {_NS}><p onclick="x">a</p></div>', "attribute"),
        (f'<div {_NS}><p href="x">a</p></div>', "attribute"),
        (f"<p {_NS}>a</p>", "outermost"),
        ("<div>a</div>", "namespace"),
        ('<div xmlns="http://hl7.org/fhir">a</div>', "namespace"),
        (f"<div {_NS}>&unknown;</div>", "entity"),
        (f"<div {_NS}>a&nbsp;b</div>", "entity"),
        (f"<div {_NS}>&copy; a</div>", "entity"),
        (f'<div {_NS}><a href=" JavaScript:f()">a</a></div>', "script"),
        (f'<div {_NS}><a href="java&#10;script:f()">a</a></div>', "script"),
        (f"<div {_NS}><p>a</div>", "well-formed"),
        (f"<div {_NS}>a</div> b", "well-formed"),
        ("text", "well-formed"),
        ("", "well-formed"),
        (f"<!DOCTYPE div><div {_NS}>a</div>", "document type"),
        (f'<!DOCTYPE d [<!ENTITY a "b">]><div {_NS}>&a;</div>', "document type"),
        (f"<?php x ?><div {_NS}>a</div>", "processing"),
    ],
)
def test_everything_else_is_a_fault(div: str, fault: str) -> None:
    found = narrative_fault(div)
    assert found is not None
    assert fault in found


@pytest.mark.parametrize("inner", ["", "  \n", "<p> </p>", "&#160;", "<br/>", "<!-- a -->"])
def test_white_space_alone_is_no_content(inner: str) -> None:
    assert not has_content(f"<div {_NS}>{inner}</div>")


@given(st.text())
def test_text_that_is_no_element_is_a_fault(text: str) -> None:
    assert narrative_fault(text) is not None


_PLAIN = st.text(st.characters(exclude_categories=("C",), exclude_characters="<>&"))


@given(_PLAIN)
def test_plain_text_in_a_div_is_none(text: str) -> None:
    assert narrative_fault(f"<div {_NS}><p>{text}</p></div>") is None
    assert has_content(f"<div {_NS}><p>{text}</p></div>") == bool(text.strip())


@given(st.text())
def test_any_text_in_a_div_gets_a_verdict(text: str) -> None:
    assert isinstance(narrative_fault(f"<div {_NS}>{text}</div>"), str | None)


@pytest.mark.parametrize(
    ("inner", "danger"),
    [
        ('<img src="https://x.example/i.png" alt="y"/>', "image"),
        ('<img src="//x.example/i.png" alt="y"/>', "image"),
        ('<a href="data:text/html;base64,PHA+">x</a>', "scripts"),
        ('<p style="background: url(https://x.example/i.png)">x</p>', "loads"),
        ('<p style="background: u\\72l(//x.example/i.png)">x</p>', "hidden"),
        ('<p style="background: ur/**/l(//x.example/i.png)">x</p>', "hidden"),
        ('<p style="width: expression (f())">x</p>', "script"),
    ],
)
def test_what_loads_from_elsewhere_or_may_run_is_no_fault_and_is_told(inner: str, danger: str):
    div = f"<div {_NS}>{inner}</div>"
    assert narrative_fault(div) is None
    (told,) = narrative_dangers(div)
    assert danger in told
    patient = {"resourceType": "Patient", "text": {"status": "additional", "div": div}}
    (issue,) = validate(json.dumps(patient).encode())
    assert (issue.severity, issue.rule) == ("warning", "narrative-is-self-contained")
    assert "x.example" not in issue.diagnostics


@pytest.mark.parametrize(
    "inner",
    [
        '<a href="https://x.example">x</a>',
        '<img src="#i" alt="y"/><img src="data:image/png;base64,AA" alt="y"/>',
        '<p style="color: red; background: url(#i)">x</p>',
        '<p style="background: url(data:image/png;base64,AA)">x</p>',
    ],
)
def test_links_and_what_is_inside_the_resource_are_no_danger(inner: str):
    assert narrative_dangers(f"<div {_NS}>{inner}</div>") == ()
