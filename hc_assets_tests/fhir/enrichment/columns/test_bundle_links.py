import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.columns.bundle_links import LINK_KEPT, BundleLinks
from hc_assets.fhir.validation import is_valid

URN = "urn:uuid:0a1b2c3d-0000-4000-8000-000000000001"
OLD = "https://example.org/fhir/Binary/old"
LINKS = BundleLinks({URN: "Patient/p1", OLD: "Binary/new"})


def sent(resource: dict[str, Any]) -> bytes:
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode()


def replaced(resource: dict[str, Any]) -> Any:
    return json.loads(LINKS.replaced(sent(resource))[0])


def document(**attachment: Any) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "content": [{"attachment": attachment}],
    }


@pytest.mark.parametrize(("old", "new"), [(URN, "Patient/p1"), (OLD, "Binary/new")])
@pytest.mark.parametrize("value", ["valueUri", "valueUrl"])
def test_links_are_replaced(old, new, value):
    extension = {"url": "https://example.org/x", value: old}
    assert replaced(document(url=old))["content"][0]["attachment"] == {"url": new}
    assert replaced(document(extension=[extension]))["content"][0]["attachment"] == {
        "extension": [extension | {value: new}]
    }


@pytest.mark.parametrize(
    "member",
    [
        {"valueCanonical": URN},
        {"valueString": URN},
        {"valueId": "p1"},
        {"valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": URN}},
        {"valueUri": URN + "0"},
        {"valueUri": "urn:uuid:elsewhere"},
    ],
)
def test_canonicals_strings_and_links_elsewhere_stay_byte_for_byte(member):
    raw = sent(document(extension=[{"url": "https://example.org/x", **member}]))
    assert LINKS.replaced(raw) == (raw, [])


@pytest.mark.parametrize(
    ("resource", "expression", "why"),
    [
        ({"resourceType": "Questionnaire", "url": URN}, "Questionnaire.url", "identity"),
        ({"resourceType": "Contract", "url": OLD}, "Contract.url", "identity"),
        (
            {"resourceType": "Observation", "code": {"coding": [{"system": URN, "code": "x"}]}},
            "Observation.code.coding[0].system",
            "identity",
        ),
        (
            {"resourceType": "Patient", "identifier": [{}, {"system": OLD, "value": "1"}]},
            "Patient.identifier[1].system",
            "identity",
        ),
        (
            {"resourceType": "ValueSet", "compose": {"include": [{"system": URN}]}},
            "ValueSet.compose.include[0].system",
            "identity",
        ),
        (
            {"resourceType": "Basic", "extension": [{"url": "x", "valueUuid": URN}]},
            "Basic.extension[0].valueUuid",
            "uuid",
        ),
        (
            {"resourceType": "Parameters", "parameter": [{"name": "x", "valueOid": URN}]},
            "Parameters.parameter[0].valueOid",
            "oid",
        ),
        (
            {
                "resourceType": "Basic",
                "contained": [{"resourceType": "CodeSystem", "id": "c", "url": URN}],
            },
            "Basic.contained[0].url",
            "identity",
        ),
    ],
)
def test_identities_and_what_no_reference_is_valid_in_stay_and_an_issue_says_so(
    resource, expression, why
):
    raw = sent(resource)
    made, (issue,) = LINKS.replaced(raw)
    assert made == raw
    assert (issue.rule, issue.severity, issue.expression) == (LINK_KEPT, "information", expression)
    assert why in issue.diagnostics
    assert "urn:" not in issue.diagnostics


def test_every_other_byte_stays_as_it_was():
    raw = (
        b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"\\u00e9"},'
        b'"valueQuantity":{"value":1.00,"extension":[{"url":"https://example.org/x",'
        b'"valueUri":"urn:uuid:0a1b2c3d-0000-4000-8000-000000000001"}]}}'
    )
    assert LINKS.replaced(raw) == (raw.replace(URN.encode(), b"Patient/p1"), [])


def test_an_address_whose_slashes_are_escaped_is_the_same_address():
    raw = sent(document(url=OLD)).replace(b"/", b"\\/")
    assert json.loads(LINKS.replaced(raw)[0])["content"][0]["attachment"]["url"] == "Binary/new"


def test_contained_resources_and_siblings_of_primitives_are_searched():
    extension = {"extension": [{"url": "https://example.org/x", "valueUri": URN}]}
    contained = {"resourceType": "Binary", "id": "b", "contentType": "text/plain"}
    made = replaced(
        {
            "resourceType": "Patient",
            "contained": [contained | {"implicitRules": OLD}],
            "_birthDate": extension,
            "name": [{"given": ["a", "b"], "_given": [None, extension]}],
        }
    )
    assert made["contained"][0]["implicitRules"] == "Binary/new"
    assert made["_birthDate"]["extension"][0]["valueUri"] == "Patient/p1"
    assert made["name"][0]["_given"][1]["extension"][0]["valueUri"] == "Patient/p1"


def narrative(body: str) -> dict[str, Any]:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'
    return {"resourceType": "Basic", "id": "x", "code": {"text": "x"}} | {
        "text": {"status": "generated", "div": div}
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f'<a href="{URN}">x</a>', '<a href="Patient/p1">x</a>'),
        (f"<a title='a &gt; b' href = '{URN}'>x</a>", None),
        (f'<img alt="x" src="{OLD}"/>', '<img alt="x" src="Binary/new"/>'),
        (f'<a title="href=&quot;{URN}&quot;" href="#x">x</a>', "same"),
        (f'<a name="{URN}">{URN}</a>', "same"),
        (f"<p>{OLD}</p>", "same"),
        (f'<a href="{URN}0">x</a>', "same"),
    ],
)
def test_links_of_narratives_are_replaced_and_their_text_is_not(body, expected):
    resource = narrative(body)
    assert is_valid(sent(resource))
    made = replaced(resource)["text"]["div"]
    if expected is None:
        assert made == narrative("<a title='a &gt; b' href = \"Patient/p1\">x</a>")["text"]["div"]
    else:
        assert made == narrative(body if expected == "same" else expected)["text"]["div"]
    assert is_valid(sent(replaced(resource)))


@given(st.text(st.sampled_from("ab:/\\ \"'<>=&é"), max_size=12), st.sampled_from([URN, OLD]))
def test_only_what_equals_an_address_is_replaced(noise, address):
    raw = sent(document(url=address, title=noise))
    made = json.loads(LINKS.replaced(raw)[0])["content"][0]["attachment"]
    assert made["title"] == noise
    raw = sent(document(url=address + noise, title=address))
    if noise:
        assert LINKS.replaced(raw) == (raw, [])


def test_a_bundle_without_entries_to_link_to_changes_nothing():
    raw = sent(document(url=URN))
    assert BundleLinks({}).replaced(raw) == (raw, [])
