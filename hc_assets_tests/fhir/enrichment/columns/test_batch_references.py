import json

import msgspec
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.batch_index import BatchIndex, gather
from hc_assets.fhir.enrichment.columns.batch_references import resolved
from hc_assets.fhir.enrichment.columns.resource_texts import compacted
from hc_assets.fhir.references import conditional_references, local_targets, resolve
from hc_assets_tests.fhir.enrichment.test_consistency import rows

TARGETS = {
    "one": {"urn:uuid:a": "Patient/p1", 'a"b': "Encounter/e1"},
    "other": {"urn:uuid:a": "Patient/p2"},
}
TEXTS = st.sampled_from(
    ["urn:uuid:a", 'a"b', "Patient/p1", "Patient/p9/_history/1", "Patient?identifier=x", "#c", "ä"]
)
REFERENCES = st.lists(TEXTS | st.text(max_size=6), max_size=4)
INDEX = BatchIndex.of([gather([rows({"resourceType": "Patient", "id": "p1"})])])


@given(
    st.lists(st.none() | st.tuples(st.sampled_from(["one", "other"]), REFERENCES), max_size=6),
    st.booleans(),
)
def test_references_of_many_are_resolved_as_those_of_one(sent, ascii_only):
    made = [
        None
        if each is None
        else json.dumps(
            {
                "reference": [],
                "x": [{"reference": text} for text in each[1]],
                "display": "urn:uuid:a",
            },
            ensure_ascii=ascii_only,
        ).encode()
        for each in sent
    ]
    files = pa.array(["one" if each is None else each[0] for each in sent], pa.string())
    texts, references = resolved(compacted(pa.array(made, pa.binary())), files, TARGETS, INDEX)
    absent = pa.array([each is None for each in sent], pa.bool_())
    literal = references.literal(len(sent), absent).to_pylist()
    queries = references.conditional(len(sent), absent).to_pylist()
    for row, text in enumerate(made):
        begin, end = texts.offsets[row : row + 2]
        if text is None:
            assert (begin, literal[row], queries[row]) == (end, None, None)
            continue
        one, of_one = resolve(msgspec.json.format(text, indent=-1), TARGETS[files[row].as_py()])
        assert texts.buffer[begin:end] == one
        assert [references.texts[number] for number in references.of_row(row)] == of_one
        assert literal[row] == local_targets(of_one)
        assert queries[row] == conditional_references(of_one)


def test_what_the_batch_does_not_hold_dangles():
    named = ["Patient/p1", "Patient/p9", "#x", "Group/g", "urn:uuid:a", "Patient?name=x"]
    sent = [json.dumps({"x": [{"reference": each} for each in named]}).encode(), b"{}"]
    files = pa.array(["none", "none"])
    _, found = resolved(compacted(pa.array(sent)), files, {"none": {}}, INDEX)
    # Of groups it has none: they are in another batch.
    assert found.judged_of_row(0) == [
        ("Patient/p1", True),
        ("Patient/p9", False),
        ("urn:uuid:a", False),
    ]
    assert found.counts_judged(2).tolist() == [3, 0]
    assert found.dangling().tolist() == [0, 0]
