import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.columns.resource_columns import distinct, hashed, rows_with
from hc_assets.fhir.enrichment.columns.resource_texts import Texts, compacted

TEXTS = st.lists(st.text("ab\\\\", max_size=5).map(str.encode), max_size=8)


def placed(texts: list[bytes]) -> Texts:
    return Texts(b"".join(texts), np.cumsum([0, *map(len, texts)], dtype=np.int64))


@given(TEXTS, st.lists(st.sampled_from([b"\\\\a", b"a", b"ab", b"\\\\\\\\b"]), max_size=2))
def test_texts_are_searched_each_by_itself(texts, signs):
    found = rows_with(signs, placed(texts)).tolist()
    assert found == [any(sign in text for sign in signs) for text in texts]


@given(TEXTS, st.data())
def test_equal_texts_of_a_group_are_found(texts, data):
    groups = [data.draw(st.integers(0, 1)) for _ in texts]
    buffer, offsets = placed(texts)
    places = np.stack([offsets[:-1], offsets[1:]], axis=1)
    left_out = [data.draw(st.booleans()) for _ in texts]
    places[left_out] = -1
    first, which = distinct(buffer, places, np.array(groups, np.int32))
    kept = [None if out else (g, t) for out, g, t in zip(left_out, groups, texts, strict=True)]
    different = list(dict.fromkeys(each for each in kept if each is not None))
    assert [kept[number] for number in first.tolist()] == different
    assert which.tolist() == [-1 if each is None else different.index(each) for each in kept]


def test_a_hash_does_not_follow_white_space_but_all_else():
    def of(*parts: bytes | None, seed: int = 0) -> int:
        buffer, ends = placed([part or b"" for part in parts])
        places = np.stack([ends[:-1], ends[1:]], axis=1)
        places[[part is None for part in parts]] = -1
        return int(hashed(buffer, places[None], np.array([seed], np.uint64))[0])

    assert of(b'{"a b": [1, 2]}') == of(b'{"a b":[1,2]}') == of(b'{\n "a b"\t:[1,2]\r}')
    other = [
        of(b'{"ab":[1,2]}'),
        of(b'{"a b":[1,2]}', seed=1),
        of(b'{"a b":[1,2]}', None),
        of(None, b'{"a b":[1,2]}'),
        of(b'"\\" "'),
        of(b'"\\""'),
    ]
    assert len({of(b'{"a b":[1,2]}'), *other}) == 7


def test_a_column_of_nothing_is_read():
    nothing = compacted(pa.array([], pa.binary()))
    assert rows_with([b"x"], nothing.texts).tolist() == []
