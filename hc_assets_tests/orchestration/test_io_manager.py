from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from hc_assets.core.redaction import ForeignError
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import LakeTable, MissingPartitionError
from hc_assets.orchestration.io_manager import Content, ParquetIOManager

SCHEMA = pa.schema([("batch", pa.string()), ("number", pa.int64())])
BATCHES = dg.StaticPartitionsDefinition(["a", "b", "c"])


def rows(batch: str, *numbers: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"batch": [batch] * len(numbers), "number": numbers}, SCHEMA)


def iterator(batch: str) -> Iterator[pa.RecordBatch]:
    yield rows(batch, 1, 2)
    yield rows(batch, 3)


SHAPES = {
    "table": lambda batch: pa.Table.from_batches(list(iterator(batch))),
    "reader": lambda batch: pa.RecordBatchReader.from_batches(SCHEMA, iterator(batch)),
    "iterator": lambda batch: iter([rows(batch, 1, 2), rows(batch, 3)]),
    "generator in an output": lambda batch: dg.Output(iterator(batch)),
    "content": lambda batch: Content(iterator(batch), {"manifest": "abc"}),
    "several": lambda batch: {batch: iterator(batch)},
}


@pytest.fixture(params=sorted(SHAPES))
def made(request) -> dg.AssetsDefinition:
    @dg.asset(key=["fhir", "numbers"], partitions_def=BATCHES, code_version="7")
    def numbers(context: dg.AssetExecutionContext):
        return SHAPES[request.param](context.partition_key)

    return numbers


@dg.asset(
    key=["fhir", "doubled"],
    partitions_def=BATCHES,
    ins={"numbers": dg.AssetIn(["fhir", "numbers"])},
)
def doubled(context: dg.AssetExecutionContext, numbers: LakeTable) -> pa.Table:
    found = numbers.of(context.partition_key).to_table()
    return found.set_column(1, "number", pa.array([2 * n for n in found["number"].to_pylist()]))


seen: list[LakeTable] = []


@dg.asset(key=["fhir", "all"], ins={"numbers": dg.AssetIn(["fhir", "numbers"])})
def everything(numbers: LakeTable) -> pa.Table:
    seen.append(numbers)
    return numbers.to_table()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path / "data")


def run(
    layout: Layout,
    assets: list,
    *selected: dg.AssetsDefinition,
    batch: str | None = None,
    instance: dg.DagsterInstance | None = None,
):
    tables = {f"fhir/{name}": SCHEMA for name in ("numbers", "doubled", "all")}
    return dg.materialize(
        assets,
        selection=[asset.key for asset in selected],
        partition_key=batch,
        resources={"io_manager": ParquetIOManager(layout, tables)},
        instance=instance or dg.DagsterInstance.ephemeral(),
        raise_on_error=True,
    )


def test_every_shape_of_rows_is_committed_and_counted(layout, made):
    result = run(layout, [made], made, batch="a")
    (event,) = result.asset_materializations_for_node("fhir__numbers")
    assert event.metadata["dagster/row_count"].value == 3
    commit = read_commit(layout.partition("fhir/numbers", "a"))
    assert (commit.rows, commit.batch, commit.code_version) == (3, "a", "7")


def test_a_materialization_repeats_the_lineage_of_columns(layout):
    source = dg.TableColumnDep(dg.AssetKey(["fhir", "raw"]), "number")
    lineage = dg.TableColumnLineage({"number": [source]})

    @dg.asset(key=["fhir", "numbers"], metadata={"dagster/column_lineage": lineage, "more": 1})
    def numbers() -> Content:
        return Content(iterator("all"))

    (event,) = run(layout, [numbers], numbers).asset_materializations_for_node("fhir__numbers")
    assert event.metadata["dagster/column_lineage"].value == lineage
    assert "more" not in event.metadata


def test_inputs_are_kept_for_the_auditor(layout):
    @dg.asset(key=["fhir", "numbers"])
    def numbers() -> Content:
        return Content(iterator("all"), {"manifest": "abc"})

    run(layout, [numbers], numbers)
    assert read_commit(layout.partition("fhir/numbers", None)).inputs == {"manifest": "abc"}


def test_downstream_gets_its_own_batch_or_all_that_are_there(layout, made):
    for batch in ("a", "b"):
        run(layout, [made, doubled], made, doubled, batch=batch)
    commit = read_commit(layout.partition("fhir/doubled", "b"))
    assert commit.rows == 3
    run(layout, [made, everything], everything)
    table = seen.pop()
    assert [made.batch for _, made in table.partitions] == ["a", "b"]
    assert read_commit(layout.partition("fhir/all", None)).rows == 6


DYNAMIC = dg.DynamicPartitionsDefinition(name="fhir_batches")


def test_all_batches_are_those_that_are_committed_whatever_dagster_knows_of(layout):
    @dg.asset(key=["fhir", "numbers"], partitions_def=DYNAMIC)
    def numbers(context: dg.AssetExecutionContext):
        return {key: iterator(key) for key in context.partition_keys}

    with dg.DagsterInstance.ephemeral() as first:
        first.add_dynamic_partitions("fhir_batches", ["a", "b"])
        for key in ("a", "b"):
            run(layout, [numbers, everything], numbers, batch=key, instance=first)
    with dg.DagsterInstance.ephemeral() as second:
        for known in ([], ["c"]):
            second.add_dynamic_partitions("fhir_batches", known)
            run(layout, [numbers, everything], everything, instance=second)
            assert [part.batch for _, part in seen.pop().partitions] == ["a", "b"]
    assert read_commit(layout.partition("fhir/all", None)).rows == 6


def test_a_batch_that_was_never_made_is_an_error_downstream(layout, made):
    with pytest.raises(MissingPartitionError, match="no rows of c are committed"):
        run(layout, [made, doubled], doubled, batch="c")


def test_rows_of_another_schema_commit_nothing(layout):
    @dg.asset(key=["fhir", "numbers"])
    def numbers() -> pa.Table:
        return pa.table({"other": [1]})

    with pytest.raises(ForeignError, match="ValueError at"):
        run(layout, [numbers], numbers)
    assert read_commit(layout.partition("fhir/numbers", None)) is None


def test_an_iterator_that_raises_halfway_commits_nothing(layout):
    @dg.asset(key=["fhir", "numbers"])
    def numbers():
        def halfway() -> Iterator[pa.RecordBatch]:
            yield rows("a", 1)
            raise LookupError("halfway")

        return Content(halfway())

    with pytest.raises(ForeignError, match="LookupError at"):
        run(layout, [numbers], numbers)
    assert read_commit(layout.partition("fhir/numbers", None)) is None
