import pytest

from hc_assets.fhir.enrichment.identifiers import identifier_tokens


@pytest.mark.parametrize(
    ("identifier", "tokens"),
    [
        (None, []),
        (b'[{"system":"s","value":"1"},{"value":"2"}]', ["s|1", "|2"]),
        (b'{"system":"s","value":"1"}', ["s|1"]),
        (b'[{"system":"s"},{"use":"official"}]', []),
        (b'[{"value":"a\\u0062|c","extension":[{"valueDecimal":1e999}]}]', ["|ab|c"]),
    ],
)
def test_identifiers_are_named_by_system_and_value(identifier, tokens):
    assert identifier_tokens(identifier) == tokens
