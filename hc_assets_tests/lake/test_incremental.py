import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from hc_assets.lake.incremental import (
    ShrinkingTableError,
    Update,
    compare,
    inputs_of_tables,
    refuse_shrinking,
    reusable_commit,
)
from hc_assets.lake.layout import COMMIT_NAME, Layout
from hc_assets.lake.parts import Commit, Part, commit
from hc_assets.lake.tables import LakeTable

SOURCE, OTHER, TABLE = "imaging/source", "imaging/source_2", "imaging/made"


def source(digests: dict[str, str], table: str = SOURCE) -> LakeTable:
    """A table with a partition of one part for each batch."""
    folder = UPath("memory://lake") / table
    commits = [
        Commit(table, batch, 1, [Part(f"part-{sha256}", 1, 1, sha256, 0, 0)])
        for batch, sha256 in digests.items()
    ]
    return LakeTable(table, folder, [(folder / f"batch={made.batch}", made) for made in commits])


def committed(update: Update, code_version: str | None = "1") -> Commit:
    """The commit that follows an update, as it is read back from its file."""
    made = Commit(TABLE, None, 0, [], update.inputs, code_version)
    return msgspec.json.decode(msgspec.json.encode(made), type=Commit)


def names(*batches: str) -> set[str]:
    return {f"{SOURCE}/{batch}" for batch in batches}


def test_names_are_new_changed_gone_or_unchanged_by_their_digests():
    changes = compare({"a": "1", "b": "1", "c": "1"}, {"b": "1", "c": "2", "d": "1"})
    assert (changes.new, changes.changed) == ({"d"}, {"c"})
    assert (changes.gone, changes.unchanged) == ({"a"}, {"b"})
    assert changes.to_take_in() == {"c", "d"}
    assert changes.to_take_back() == {"a", "c"}


def test_without_a_commit_every_partition_is_new_and_all_is_rebuilt():
    update = Update.since(None, [source({"b1": "x", "b2": "y"})], code_version="1")
    assert update.is_rebuild
    assert update.changes.new == names("b1", "b2")
    assert update.added_parts(source({"b1": "x"})) is None


def test_only_parts_of_new_partitions_are_added():
    before = Update.since(None, [source({"b1": "x"})], code_version="1")
    present = source({"b1": "x", "b2": "y"})
    update = Update.since(committed(before), [present], code_version="1")
    assert not update.is_rebuild
    assert update.changes.unchanged == names("b1")
    folder, made = present.partitions[1]
    assert update.added_parts(present) == [str(folder / made.parts[0].name)]
    assert Update.since(committed(update), [present], code_version="1").added_parts(present) == []


@pytest.mark.parametrize("present", [{"b1": "z"}, {}, {"b1": "z", "b2": "y"}])
def test_no_rows_are_kept_where_a_partition_has_changed_or_is_gone(present):
    before = Update.since(None, [source({"b1": "x"})], code_version="1")
    update = Update.since(committed(before), [source(present)], code_version="1")
    assert not update.is_rebuild
    assert update.added_parts(source(present)) is None


@pytest.mark.parametrize(
    ("code_version", "options"), [("2", {"size": "3"}), (None, {"size": "3"}), ("1", {"size": "4"})]
)
def test_another_code_version_or_option_rebuilds_everything(code_version, options):
    present = [source({"b1": "x"})]
    before = Update.since(None, present, code_version="1", options={"size": "3"})
    update = Update.since(committed(before), present, code_version=code_version, options=options)
    assert update.is_rebuild
    assert update.changes.new == names("b1")


def test_an_option_that_the_commit_does_not_know_rebuilds_everything():
    made = Commit(TABLE, None, 0, [], {f"{SOURCE}/b1": "x"}, "1")
    assert reusable_commit(made, "1") is made
    assert reusable_commit(made, "1", {"size": "3"}) is None
    assert reusable_commit(None, None) is None


def test_inputs_are_the_digests_of_all_sources_then_the_options():
    first, second = source({"b1": "x"}), source({"b1": "y"}, OTHER)
    inputs = Update.since(None, [first, second], code_version="1", options={"size": "3"}).inputs
    assert [*inputs.items()] == [*first.digests().items(), *second.digests().items(), ("size", "3")]
    assert inputs_of_tables(inputs, [SOURCE]) == first.digests()


def test_a_source_over_all_batches_is_known_by_the_name_of_its_table():
    made = Commit(TABLE, None, 0, [], {SOURCE: "x", f"{OTHER}/b1": "y", "size": "3"})
    assert inputs_of_tables(made.inputs, [SOURCE]) == {SOURCE: "x"}
    assert inputs_of_tables(made.inputs, [OTHER]) == {f"{OTHER}/b1": "y"}


DIGESTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"))
STATES = st.lists(st.tuples(DIGESTS, st.sampled_from("12"), st.sampled_from("34")), min_size=1)


@given(STATES)
def test_taking_in_what_is_new_step_by_step_equals_making_all_from_scratch(states):
    last: Commit | None = None
    rows: dict[str, tuple[str, str, str]] = {}
    for digests, version, size in states:
        present = source(digests)
        update = Update.since(last, [present], code_version=version, options={"size": size})
        if update.is_rebuild:
            rows = {}
        for name in update.changes.to_take_back():
            del rows[name]
        for name in update.changes.to_take_in():
            assert name not in rows
            rows[name] = (present.digests()[name], version, size)
        assert rows == {name: (each, version, size) for name, each in present.digests().items()}
        last = committed(update, version)
        again = Update.since(last, [present], code_version=version, options={"size": size})
        assert again.changes.unchanged == present.digests().keys()
        assert again.inputs == update.inputs


def test_a_table_may_lose_a_batch_only_once_its_commits_are_gone(tmp_path):
    layout = Layout.of(tmp_path)
    for batch in ("b1", "b2"):
        commit(layout, SOURCE, batch, [])
    inputs = {f"{SOURCE}/b1": "x", f"{SOURCE}/b2": "y", "size": "3"}
    refuse_shrinking(layout, TABLE, inputs, "1")  # there is none yet
    commit(layout, TABLE, None, [], inputs=inputs, code_version="1")

    refuse_shrinking(layout, TABLE, inputs | {f"{SOURCE}/b3": "z"}, "1")
    lacking = {f"{SOURCE}/b1": "other"}
    with pytest.raises(ShrinkingTableError, match=f"{TABLE} would lose 1 batches.* b2 the first"):
        refuse_shrinking(layout, TABLE, lacking, "2")
    with pytest.raises(ShrinkingTableError, match="lose 2 batches"):
        refuse_shrinking(layout, TABLE, {}, "1")
    refuse_shrinking(layout, TABLE, {}, "2")  # other code may make it of something else
    refuse_shrinking(layout, TABLE, {f"{OTHER}/b1": "x", f"{OTHER}/b2": "y"}, "1")

    (layout.partition(SOURCE, "b2") / COMMIT_NAME).unlink()
    refuse_shrinking(layout, TABLE, lacking, "1")
