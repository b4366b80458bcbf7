import pytest

from hc_assets.fhir.identifiers import identifier_tokens


@pytest.mark.parametrize(
    ("resource", "tokens"),
    [
        (b'{"resourceType":"Patient"}', []),
        (b'{"identifier":[{"system":"s","value":"1"},{"value":"2"}]}', ["s|1", "|2"]),
        (b'{"identifier":{"system":"s","value":"1"}}', ["s|1"]),
        (b'{"identifier":[{"system":"s"},{"use":"official"}]}', []),
        (b'{"contained":[{"identifier":[{"value":"x"}]}]}', []),
        (b'{"identifier":[{"value":"a\\u0062|c"}],"x":1e999}', ["|ab|c"]),
    ],
)
def test_identifiers_are_told_by_system_and_value(resource, tokens):
    assert identifier_tokens(resource) == tokens
