"""What is read at once is what is read one by one.

Run as a program with the path of a library, it reads the same texts with that build of the compiled
code: for sanitizers.
"""

import gzip
import io
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hc_assets.fhir.bundles import entry_columns
from hc_assets.fhir.bundles.entry_columns import Bounds, columns_of, read_columns
from hc_assets.fhir.bundles.read import read_entries

DOCUMENT = "application/fhir+json"
LINES = "application/fhir+ndjson"
NATIVE = Path(entry_columns.__file__).parents[1] / "r4" / "fast" / "native"
PATIENT = (
    '{"resourceType":"Patient","id":"p1","name":[{"text":"Zo\u00eb \\n"}],"x":[1.0e+2,-0,true]}'
)
REQUESTS = [
    "{}",
    '{"method":"POST","url":"Patient","ifNoneExist":"identifier=s|1"}',
    '{"method":"PUT","url":"Patient/p1"}',
    '{"method":"PUT","url":"Patient/p2"}',
    '{"method":"PUT","url":"Patient?identifier=1"}',
    '{"method":"POST","url":"Patient/$match"}',
    '{"method":"PATCH","url":"Patient/p1"}',
    '{"method":"DELETE","url":"Patient/p1"}',
    '{"method":null}',
    '{"method":"PUT","url":"Patient/p1","method":"DELETE"}',
    '{"method":"POST","url":"Patient","ifMatch":"1","ifM\\u0061tch":"2"}',
    '{"method":"POST","url":"Patient","ifMatch":1}',
    "null",
]
RESOURCES = [
    PATIENT,
    "{}",
    '{ "id" : 7 , "resourceType" : null }',
    '{"resourceType":"Patient","id":"a","id":"b"}',
    '{"resourceType":"Basic","id":""}',
    '{"resourceType":"Pat\\u0069ent","id":"\\ud83d\\ude00"}',
    '{"resourceType":"OperationOutcome","issue":[]}',
    '{"transactionTime":"2026-01-01T00:00:00Z","output":[]}',
    '{"resourceType":"Parameters","parameter":[{"name":"x","resource":' + PATIENT + "}]}",
    '{"resourceType":"Bundle","entry":[{"resource":' + PATIENT + "}]}",
    '{"resourceType":"Basic","id":"' + "x" * 600 + '"}',
    "null",
    "[]",
]
OTHERS = [
    '"fullUrl":"urn:uuid:1"',
    '"fullUrl":null',
    '"fullUrl":"https://north.example/fhir/Patient/p1"',
    '"fullUrl":"HTTP://South.example:80/r4/Patient/p1"',
    '"fullUrl":"https://north.example/fhir/Basic/x"',
    '"response":{"lastModified":"2026-01-01T00:00:00Z"}',
    '"search":{"mode":"match"}',
    '"search":{"mode":"match","mode":"include"}',
    '"search":{"mode":null}',
    '"search":[]',
    '"link":[{"relation":"self","url":"x"}]',
    '"extension":[{"url":"x","valueCode":"y"}]',
    '"extension":[{"url":"x","url":"y"}]',
    '"\\u0072equest":{}',
]
TEXTS = st.one_of(
    st.sampled_from(RESOURCES).map('"resource":{}'.format),
    st.sampled_from(REQUESTS).map('"request":{}'.format),
    st.sampled_from(OTHERS),
)
ENTRIES = st.lists(TEXTS, max_size=4).map(lambda members: "{" + ", ".join(members) + "}")
BUNDLES = st.lists(ENTRIES, max_size=5).map(lambda entries: bundle_of(",".join(entries)))


def entry_of(resource: str, request: str) -> str:
    return f'{{"fullUrl":"urn:uuid:1","resource":{resource},"request":{request}}}'


def bundle_of(entries: str) -> str:
    return f'{{"resourceType":"Bundle","entry":[{entries}]}}'


def is_as_one_by_one(data: bytes, media_type: str) -> bool:
    expected = list(read_entries(io.BytesIO(data), media_type))
    found = {name: [] for name in columns_of(expected)}
    for columns in read_columns(io.BytesIO(data), media_type):
        for name in found:
            found[name] += columns[name].to_pylist()
    return found == {name: made.to_pylist() for name, made in columns_of(expected).items()}


def is_read_at_once(data: bytes, media_type: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    with monkeypatch.context() as patch:
        for name in ("entries_of_document", "entries_of_lines"):
            patch.setattr(entry_columns, name, None)
        try:
            return bool(list(read_columns(io.BytesIO(data), media_type)))
        except TypeError:
            return False


@given(BUNDLES, st.booleans())
@example('{"resourceType":"Bundle","entry":[{"resource":{}}]} ', False)
@example('{"resourceType":"Bundle","entry":[{"resource":{}}]}x', False)
@example('{"resourceType":"Bundle","entry":[{"resource":{}}],"entry":[]}', False)
@example('{"resourceType":"List","entry":[{"resource":{}}]}', True)
def test_a_document_gives_the_same_entries_at_once_and_one_by_one(text, is_packed):
    data = text.encode()
    assert is_as_one_by_one(gzip.compress(data) if is_packed else data, DOCUMENT)


@given(
    st.lists(st.sampled_from([*RESOURCES, "", " ", "\ufeff{}", "x"]) | BUNDLES, max_size=6),
    st.sampled_from(["\n", "\r\n", "\n\n \n"]),
    st.booleans(),
)
def test_lines_give_the_same_entries_at_once_and_one_by_one(lines, line_end, is_cut):
    data = line_end.join(lines).encode()
    assert is_as_one_by_one(data, LINES)
    assert is_as_one_by_one(gzip.compress(data)[: -9 if is_cut else None], LINES)


def test_accidents_of_bytes_make_no_difference():
    for text in accidents(seed=4, count=4_000):
        for media_type in (DOCUMENT, LINES):
            assert is_as_one_by_one(text, media_type), text


def test_plain_stores_are_read_at_once(monkeypatch):
    stored = [entry_of(PATIENT, request) for request in REQUESTS[:3]]
    bundle = bundle_of(",\n".join(stored * 3_000))
    assert is_read_at_once(bundle.encode(), DOCUMENT, monkeypatch)
    assert is_read_at_once(f"{PATIENT}\r\n\n{PATIENT}".encode(), LINES, monkeypatch)
    assert not is_read_at_once(b'{"resourceType":"Bundle"}', DOCUMENT, monkeypatch)


def test_batches_are_bounded_by_rows_and_by_bytes():
    sizes = [10, 10, 10, 10, 300, 10, 150, 150, 10]
    resources = [f'{{"resourceType":"Basic","id":"{"x" * size}"}}' for size in sizes]
    entries = ",".join(f'{{"resource":{each}}}' for each in resources)
    bundle = bundle_of(entries)
    for text, media_type in ((bundle, DOCUMENT), ("\n".join(resources), LINES)):
        columns = list(read_columns(io.BytesIO(text.encode()), media_type, Bounds(3, 200)))
        found = [each["resource_id"].to_pylist() for each in columns]
        assert [[len(id_) for id_ in ids] for ids in found] == [
            [10, 10, 10],
            [10, 300],
            [10, 150],
            [150, 10],
        ]


@pytest.mark.sanitized
def test_no_byte_is_read_or_written_out_of_bounds(tmp_path: Path) -> None:
    from hc_assets_tests.sanitizers import run_sanitized

    printed = run_sanitized(NATIVE.glob("*.c"), __file__, tmp_path, "5", "4000")
    assert int(printed) > 400


def accidents(seed: int, count: int) -> Iterator[bytes]:
    """Texts that nearly are regular bundles or lines; the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    entries = [
        entry_of(resource, request) for resource in RESOURCES[:3] for request in REQUESTS[:3]
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": []}
    pieces = [
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\xff",
        b"\n",
        b"1e",
        b"null",
        b"\x01",
    ]
    for _ in range(count):
        chosen = ",".join(chance.choices(entries, k=2))
        whole = json.dumps(bundle).replace("[]", f"[{chosen}]")
        text = bytearray(chance.choice([whole, chosen.replace("},{", "}\n{")]).encode())
        for _ in range(chance.choice([0, 1, 1, 2])):
            at = chance.randrange(len(text) + 1)
            if chance.random() < 0.5:
                text[at:at] = chance.choice(pieces)
            else:
                del text[at : at + chance.choice([1, 2, 30])]
        yield bytes(text)


def main(library: str, seed: int, count: int) -> None:
    """Read accidents with another build of the compiled code; print how many it found regular."""
    import ctypes

    entry_columns.load_library = lambda *_: ctypes.CDLL(library)  # type: ignore[attr-defined]
    regular = 0
    for text in accidents(seed, count):
        copy = bytes(bytearray(text))  # of its own size, so that reading on is seen
        calls = entry_columns._library()
        rows = entry_columns._spans(copy, 1, calls.hc_regular_entries)
        lines = entry_columns._spans(copy, 1, calls.hc_regular_lines, 0)
        for each in (rows, lines):
            if each is not None and len(each):
                regular += 1
                entry_columns._gathered(copy, each)
    sys.stdout.write(str(regular))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
