"""The declaration of a domain: its kinds of files, its tables, and what else follows from it.

Belongs here: the shape of a declaration, and what several of them say together. The declarations
are in each domain's `domain.py`, and which domains there are is in `domains.py`. Nothing here
imports Dagster, NumPy or pyarrow, so that `hc-assets --help` stays quick: what a declaration needs
of those it names as `module:attribute`, and it is imported when it is asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from hc_assets.core.lineage import Lineage, Source, sources
from hc_assets.core.settings import CoreSettings
from hc_assets.core.table_schema import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

_COMPRESSED = (".gz", ".zst")


class DeclarationError(Exception):
    """A declaration contradicts itself or another one; says which and how."""


def resolve(reference: str) -> Any:
    """Import what a declaration names.

    Args:
        reference: `module:attribute`.

    Raises:
        DeclarationError: there is no such module or attribute.
    """
    module, _, attribute = reference.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise DeclarationError(f"{reference} is declared, and does not exist: {error}") from error


@dataclass(frozen=True)
class Kind:
    """A kind of files that are landed.

    Attributes:
        name: of `--kind`, of the landing folder, and in the names of partitions and jobs.
        suffixes: media type by the suffix of a file's name, in lower case. Where two fit, the first
            counts. Those of compression are left out.
        looks_like: whether the first bytes of a file, at most 64 KiB, unpacked, are of this kind.
        has_sources: whether rows are told apart by the source that files came from.
        other_format: says what such bytes are, where they are of a format that this kind knows and
            does not take, as the reason would be; None where it does not know.
    """

    name: str
    suffixes: Mapping[str, str]
    looks_like: Callable[[bytes], bool]
    has_sources: bool = False
    other_format: Callable[[bytes], str | None] = lambda _: None

    @property
    def partitions(self) -> str:
        """Name of the dynamic partitions that its batches are."""
        return f"{self.name}_batches"

    @property
    def sensor(self) -> str:
        """Name of what looks at the landing folder and runs the job for each new batch."""
        return f"new_{self.name}_files"

    @property
    def ingest_job(self) -> str:
        """Name of the job over the tables of one batch."""
        return f"ingest_{self.name}"

    @property
    def check_job(self) -> str:
        """Name of the job that only checks one batch."""
        return f"check_{self.name}_batch"

    def media_type(self, name: str) -> str:
        """Media type by a file's name; `application/octet-stream` where it says nothing."""
        suffix = self._suffix(name)
        return self.suffixes[suffix] if suffix else "application/octet-stream"

    def is_named_so(self, name: str) -> bool:
        """Whether a file's name has one of the kind's suffixes."""
        return self._suffix(name) is not None

    def _suffix(self, name: str) -> str | None:
        lowered = name.lower()
        for compressed in _COMPRESSED:
            lowered = lowered.removesuffix(compressed)
        return next((suffix for suffix in self.suffixes if lowered.endswith(suffix)), None)


@dataclass(frozen=True)
class Table:
    """A table, which is an asset of the same name.

    Attributes:
        name: `<domain>/<plural noun>`: the asset's key, the folder in the lake, and the name in the
            warehouse.
        declared_in: `module:attribute` of a mapping that has its `TableSchema` under its name.
        row: what a row is; the asset's description.
        layer: raw, core or out.
        per: `batch` where it has a partition for each batch, `all` where it is over all of them.
        kinds: what it is made of and kept in, as the UI shows it.
        kept: in Parquet, or in DuckDB where rows change in place.
        batches_of: the kind of landing whose batches it has a partition for, or is over all of; may
            be left out where its domain has one kind.
    """

    name: str
    declared_in: str
    row: str
    layer: Literal["raw", "core", "out"]
    per: Literal["batch", "all"]
    kinds: frozenset[str]
    kept: Literal["parquet", "duckdb"] = "parquet"
    batches_of: str = ""

    @property
    def contents(self) -> TableSchema:
        """Columns, lineage and code version.

        Raises:
            DeclarationError: the mapping is not there, or lacks the table.
        """
        declared: Mapping[str, TableSchema] = resolve(self.declared_in)
        if self.name not in declared:
            raise DeclarationError(f"{self.declared_in} lacks {self.name}")
        return declared[self.name]

    @property
    def code_version(self) -> str:
        """Of what makes its rows."""
        return self.contents.code_version


@dataclass(frozen=True)
class Domain:
    """All that the rest of the house knows of a domain.

    Attributes:
        name: of its folder, of its group of assets, and of its schema in the warehouse.
        kinds: of files that it lands.
        tables: in the order of the data; the last one per batch is the one that finishes it.
        settings: its section of the settings.
        wiring: modules with `ASSETS` and `CHECKS`, lists of Dagster's definitions, or functions
            `assets` and `checks` that make them from the settings.
        jobs: `module:attribute` of a list of jobs of its own; "" where it has none.
        commands: module with `app`, its commands; "" where it has none.
        sample: `module:function` that writes sample data below a landing folder and says in a
            sentence what it is of; "" where it has none. Domains may name the same function.
        state: `module:function` that makes its tables in DuckDB where they are missing, given a
            connection. "" where it keeps none there.
        rebuild: `module:function` that rebuilds its tables in DuckDB from the Parquet, given a
            connection, the layout and, as `batches`, the keys of those that are wanted, all where
            None; gives the count of rows. "" where it keeps none there.
        taken_in: `module:function` that gives what its tables in DuckDB were made from, given a
            connection: hash of each partition by `<table>/<batch>`. "" where it keeps none there.
        exports: `module:function` that gives the files its tables keep outside of the lake, as
            `Export` of `lake/integrity.py`, given the layout; "" where they keep none.
        ready: `module:function` that refuses, given the settings, what each of its batches would
            fail by, before anything is landed, and gives what else is worth saying; "" where
            nothing can be known so early.
        reads: tables of other domains that it reads.
        feeds: folder below the landing folder of a kind, by that kind, into which its assets put
            files of their own.
    """

    name: str
    kinds: tuple[Kind, ...]
    tables: tuple[Table, ...]
    settings: type[CoreSettings] = CoreSettings
    wiring: tuple[str, ...] = ()
    jobs: str = ""
    commands: str = ""
    sample: str = ""
    state: str = ""
    rebuild: str = ""
    taken_in: str = ""
    exports: str = ""
    ready: str = ""
    reads: tuple[str, ...] = ()
    feeds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Landing:
    """A kind of files with the tables that are made of it.

    Attributes:
        kind: of the files.
        domain: that lands them.
        batch_tables: with a partition per batch, in order.
        publish_tables: over all batches, in order.
    """

    kind: Kind
    domain: Domain
    batch_tables: tuple[str, ...]
    publish_tables: tuple[str, ...]

    @property
    def publish_job(self) -> str:
        """Name of the job over all batches; "" where nothing is made of them."""
        return f"publish_{self.kind.name}" if self.publish_tables else ""


class Catalog:
    """What all domains declare, together.

    Raises:
        DeclarationError: two declare the same, or one refers to what nobody declares.
    """

    def __init__(self, domains: Iterable[Domain]) -> None:
        self.domains = tuple(domains)
        self.tables: dict[str, Table] = {}
        self.landings: dict[str, Landing] = {}
        for domain in self.domains:
            for table in domain.tables:
                self._take(domain, table)
            for kind in domain.kinds:
                if kind.name in self.landings:
                    raise DeclarationError(f"the kind {kind.name} is declared twice")
                self.landings[kind.name] = _landing(domain, kind)
        for domain in self.domains:
            if unknown := sorted({*domain.reads} - {*self.tables}):
                raise DeclarationError(f"{domain.name} reads {', '.join(unknown)}: no such table")
            if unknown := sorted({*domain.feeds} - {*self.landings}):
                raise DeclarationError(f"{domain.name} feeds {', '.join(unknown)}: no such kind")

    def _take(self, domain: Domain, table: Table) -> None:
        if table.name in self.tables:
            raise DeclarationError(f"the table {table.name} is declared twice")
        if not table.name.startswith(f"{domain.name}/"):
            raise DeclarationError(f"{table.name}: expected a name that begins with {domain.name}/")
        if table.per == "batch" and _kind_of(domain, table) is None:
            raise DeclarationError(
                f"{table.name}: batches_of must name the table whose batches it is made of"
            )
        self.tables[table.name] = table

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Of files that are landed, in the order of the domains."""
        return tuple(landing.kind for landing in self.landings.values())

    def kind(self, name: str) -> Kind:
        """Return a kind by its name.

        Raises:
            KeyError: there is none.
        """
        return self.landings[name].kind

    def landing_of(self, table: str) -> Landing | None:
        """The kind of landing that a table is made of; None where it is of several domains."""
        return next(
            (
                landing
                for landing in self.landings.values()
                if table in (*landing.batch_tables, *landing.publish_tables)
            ),
            None,
        )

    @cached_property
    def parquet(self) -> "Mapping[str, pa.Schema]":
        """Schema of each table that is kept in Parquet, by its name."""
        return self._schemas("parquet")

    @cached_property
    def state(self) -> "Mapping[str, pa.Schema]":
        """Schema of each table that changes in place, in DuckDB, by its name."""
        return self._schemas("duckdb")

    @cached_property
    def schemas(self) -> "Mapping[str, pa.Schema]":
        """Schema of each table, by its name."""
        return {**self.parquet, **self.state}

    def _schemas(self, kept: str) -> "dict[str, pa.Schema]":
        return {
            name: table.contents.schema for name, table in self.tables.items() if table.kept == kept
        }

    @cached_property
    def lineage(self) -> Mapping[str, Lineage]:
        """What the columns of each table are made from, by its name."""
        return {name: table.contents.lineage for name, table in self.tables.items()}

    def column_sources(self, table: str) -> dict[str, tuple[Source, ...]]:
        """Return the columns that each column of a table is made from."""
        return sources(table, self.lineage, self.schemas)


def _kind_of(domain: Domain, table: Table) -> str | None:
    if table.batches_of:
        return table.batches_of
    return domain.kinds[0].name if len(domain.kinds) == 1 else None


def _landing(domain: Domain, kind: Kind) -> Landing:
    per: dict[str, list[str]] = {"batch": [], "all": []}
    for table in domain.tables:
        if _kind_of(domain, table) == kind.name:
            per[table.per].append(table.name)
    return Landing(kind, domain, tuple(per["batch"]), tuple(per["all"]))
