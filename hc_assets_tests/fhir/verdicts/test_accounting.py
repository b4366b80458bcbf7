from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.schemas import VALIDATED_RESOURCES
from hc_assets.fhir.verdicts.accounting import (
    entries_accounted_for,
    entry_keys,
    identifiers_unique,
    identity_keys,
)
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter, commit
from hc_assets.lake.tables import read_partitions

Key = tuple[str, str, int]
ENTRY = pa.schema([("batch", pa.string()), ("source_file", pa.string()), ("position", pa.int64())])
IDENTITY = pa.schema(
    [
        ("batch", pa.string()),
        ("resource_type", pa.string()),
        ("resource_id", pa.string()),
        ("source", pa.string()),
    ]
)


def entries(*keys: Key) -> pa.Table:
    rows = [dict(zip(ENTRY.names, key, strict=True)) for key in keys]
    return pa.Table.from_pylist(rows, ENTRY)


def identities(*keys: tuple[str | None, ...]) -> pa.Table:
    rows = [dict(zip(IDENTITY.names, key, strict=False)) for key in keys]
    return pa.Table.from_pylist(rows, IDENTITY)


A, B, C = ("b", "f", 0), ("b", "f", 1), ("b", "g", 0)


@pytest.mark.parametrize(
    ("validated", "quarantined", "astray"),
    [
        ([A, B, C], [], 0),
        ([A], [C, B], 0),
        ([], [A, B, C], 0),
        ([A, B], [], 1),
        ([A, B, C], [A], 1),
        ([A, A, B, C], [], 1),
        ([A, B, ("b", "h", 0)], [], 2),
        ([A, A, B], [], 2),
        ([], [], 3),
        ([A, B, C, ("other", "f", 0)], [], 1),
    ],
    ids=[
        "all valid",
        "some quarantined",
        "all quarantined",
        "one missing",
        "one in both",
        "one doubled",
        "one from nowhere instead of another",
        "one doubled instead of another",
        "all missing",
        "one of another batch",
    ],
)
def test_each_entry_must_come_out_once(validated, quarantined, astray):
    verdict = entries_accounted_for(entries(A, B, C), entries(*validated), entries(*quarantined))
    assert (verdict.passed, verdict.value, verdict.threshold) == (astray == 0, astray, 0)
    assert f"{astray} missing, doubled or from nowhere" in verdict.explanation
    assert verdict.counts == {
        "arrived": 3,
        "kept": len(validated),
        "set_aside": len(quarantined),
    }


def test_no_entries_are_all_accounted_for():
    assert entries_accounted_for(entries(), entries(), entries()).passed


def test_an_entry_that_arrived_twice_must_come_out_twice():
    assert entries_accounted_for(entries(A, A), entries(A), entries(A)).passed
    assert not entries_accounted_for(entries(A, A), entries(A), entries()).passed


def test_other_columns_do_not_matter():
    wide = entries(A).append_column("more", pa.array(["x"]))
    assert entries_accounted_for(wide, wide, entries()).passed


KEYS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("fg"), st.integers(0, 3)), max_size=12
)


@given(KEYS, KEYS, KEYS)
def test_the_verdict_counts_the_rows_that_two_lists_do_not_share(raw, validated, quarantined):
    left, out = list(raw), validated + quarantined
    for key in list(left):
        if key in out:
            left.remove(key)
            out.remove(key)
    verdict = entries_accounted_for(entries(*raw), entries(*validated), entries(*quarantined))
    assert verdict.value == len(left) + len(out)
    assert verdict.passed == (sorted(raw) == sorted(validated + quarantined))


def test_ids_that_come_once_are_unique():
    verdict = identifiers_unique(
        identities(("b", "Patient", "1"), ("b", "Patient", "2"), ("b", "Encounter", "1"))
    )
    assert (verdict.passed, verdict.value, verdict.counts["total"]) == (True, 0, 3)


def test_an_id_that_comes_twice_is_counted_once():
    verdict = identifiers_unique(
        identities(*[("b", "Patient", "1")] * 3, ("b", "Patient", "2"), ("b", "Patient", "2"))
    )
    assert (verdict.passed, verdict.value, verdict.counts["total"]) == (False, 2, 2)


def test_an_id_may_come_again_in_another_batch():
    assert identifiers_unique(identities(("a", "Patient", "1"), ("b", "Patient", "1"))).passed


def test_rows_without_an_id_are_not_taken_for_the_same():
    nameless = [("b", "Patient", None)] * 2 + [("b", None, "1")] * 2
    assert identifiers_unique(identities(*nameless)).passed
    assert identifiers_unique(identities()).passed


def test_keys_are_read_from_the_committed_parts(tmp_path: Path):
    layout = Layout.of(tmp_path)
    row = {
        "batch": "b",
        "source_file": "f",
        "position": 3,
        "resource_type": "Patient",
        "resource_id": "1",
    }
    with PartWriter(layout.partition("fhir/x", "b"), VALIDATED_RESOURCES) as writer:
        writer.write(pa.RecordBatch.from_pylist([row, row], VALIDATED_RESOURCES))
    commit(layout, "fhir/x", "b", writer.parts)
    table = read_partitions(layout, "fhir/x")
    assert entry_keys(table).to_pylist() == [{n: row[n] for n in ENTRY.names}] * 2
    assert not identifiers_unique(identity_keys(table)).passed
