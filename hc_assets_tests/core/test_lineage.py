import pyarrow as pa
import pytest

from hc_assets.core.lineage import Lineage, Source, UndeclaredLineageError, described, sources

SCHEMAS = {
    "a/raw": pa.schema([("key", pa.string()), ("text", pa.string())]),
    "a/made": pa.schema([("key", pa.string()), ("text", pa.string()), ("score", pa.float64())]),
}


def made_from(declared: Lineage) -> dict[str, tuple[Source, ...]]:
    return sources("a/made", {"a/made": declared}, SCHEMAS)


def test_columns_of_the_same_name_are_taken_over_unless_declared_otherwise():
    found = made_from(Lineage(carries=("a/raw",), made={"text": ("a/raw.key",), "score": ()}))
    assert found == {
        "key": (Source("a/raw", "key"),),
        "text": (Source("a/raw", "key"),),
        "score": (),
    }


def test_the_rest_comes_from_what_is_named_for_it():
    found = made_from(Lineage(carries=("a/raw",), rest=("a/raw.text", "a/raw.key")))
    assert found["score"] == (Source("a/raw", "text"), Source("a/raw", "key"))


@pytest.mark.parametrize(
    ("declared", "place"),
    [
        (Lineage(carries=("a/raw",)), "a/made.score: nothing says"),
        (Lineage(carries=("a/raw",), made={"score": ("a/raw.gone",)}), "a/raw.gone"),
        (Lineage(carries=("a/raw",), made={"score": ("b/gone.key",)}), "b/gone"),
        (Lineage(carries=("a/raw",), made={"gone": ()}, rest=()), "gone: no such column"),
        (Lineage(carries=("b/gone",), rest=()), "b/gone"),
    ],
)
def test_a_declaration_of_what_is_not_there_is_refused(declared, place):
    with pytest.raises(UndeclaredLineageError, match=place):
        made_from(declared)


def test_a_table_without_a_declaration_is_refused():
    with pytest.raises(UndeclaredLineageError, match="a/made"):
        sources("a/made", {}, SCHEMAS)


def test_a_column_taken_over_is_named_by_its_table_alone():
    assert described("key", (Source("a/raw", "key"),)) == "a/raw"
    assert (
        described("score", (Source("a/raw", "key"), Source("a/raw", "text"))) == "a/raw: key, text"
    )
    assert described("score", (Source("a/raw", "key"), Source("b/more", "key"))) == (
        "a/raw: key; b/more: key"
    )
    assert described("score", ()) == ""
