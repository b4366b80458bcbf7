"""Searches answered from the files of the index.

Belongs here: opening a generation, running statements on it, pages and what is included. What is
asked comes from `parsing.py`, the statements from `selection.py`, the answer is `searchset.py`'s.
"""

import base64
import binascii
import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import accumulate
from types import TracebackType
from typing import Any, Self

import duckdb
import msgspec

from hc_assets.core.errors import EnvironmentFaultError
from hc_assets.fhir.search.known import own_parameters
from hc_assets.fhir.search.parsing import parse_query
from hc_assets.fhir.search.problems import refusal
from hc_assets.fhir.search.query import Include, Query
from hc_assets.fhir.search.searchset import Found, searchset
from hc_assets.fhir.search.selection import LINKED, Statement
from hc_assets.fhir.search.stored.blocks import unpack
from hc_assets.fhir.search.stored.layout import TABLES, key_of
from hc_assets.fhir.search.stored.runs import Generation, file_of, read_generation
from hc_assets.lake.layout import Layout

_MEMORY_LIMIT = "400MiB"
_MOST_INCLUDED = 10_000
_SECONDS = 30.0
_MOST_OPEN = 4


def search(
    text: str, layout: Layout, *, lenient: bool = False, now: datetime | None = None
) -> bytes:
    """Answer one search; whoever has several keeps a `Searcher`.

    Args:
        text: such as `Observation?code=8480-6`, percent-encoded where it has to be.
        layout: where the lake is.
        lenient: go on without parameters that are unknown, and say so.
        now: what `ap` measures times from.

    Returns:
        A Bundle of the type searchset, as JSON.

    Raises:
        SearchError: what is wrong with the search.
        NoIndexError: the index was never made.
    """
    with Searcher(layout) as searcher:
        return searcher.search(text, lenient=lenient, now=now)


class NoIndexError(EnvironmentFaultError):
    """There is no index of this lake yet."""


class IndexDamagedError(EnvironmentFaultError):
    """A file of the index can't be read."""


class _Open:
    """One generation, open for reading."""

    def __init__(self, layout: Layout, generation: Generation) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
        self.name = generation.name()
        sizes = [run.rows() for run in generation.runs]
        self.starts = [0, *accumulate(sizes)][: len(sizes)]
        for number, run in enumerate(generation.runs):
            path = str(file_of(layout, run)).replace("'", "''")
            self.connection.execute(f"ATTACH '{path}' AS run{number} (READ_ONLY)")
        for table in TABLES:
            self.connection.execute(f"CREATE VIEW {table} AS {self._select(table)}")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    def _select(self, table: str) -> str:
        if not self.starts:
            types = {"int64": "BIGINT", "int32": "INTEGER", "string": "VARCHAR", "binary": "BLOB"}
            columns = [
                f"NULL::{types[str(f.type)]} AS {'rid' if f.name == 'row' else f.name}"
                for f in TABLES[table]
            ]
            return f"SELECT {', '.join(columns)} WHERE FALSE"
        return " UNION ALL ".join(
            f"SELECT * EXCLUDE (row), row + {start} AS rid FROM run{number}.{table}"  # noqa: S608
            for number, start in enumerate(self.starts)
        )

    def rows(self, sql: str, values: dict[str, object]) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, values).fetchall()

    def found(self, rids: Sequence[int], mode: str) -> list[Found]:
        """Resources by their rows, in that order."""
        by_run: defaultdict[int, list[int]] = defaultdict(list)
        for rid in rids:
            number = bisect_right(self.starts, rid) - 1
            by_run[number].append(rid - self.starts[number])
        found: dict[int, Found] = {}
        for number, rows in by_run.items():
            sql = (
                f"SELECT row, type, id, source, behind FROM run{number}.resources"  # noqa: S608
                " WHERE row IN (SELECT unnest($rows::BIGINT[]))"
            )
            named = self.rows(sql, {"rows": rows})
            sql = (
                f"SELECT row, block FROM run{number}.contents"  # noqa: S608
                " WHERE row IN (SELECT unnest($rows::BIGINT[]))"
            )
            firsts = sorted({row - behind for row, *_, behind in named})
            blocks = {row: unpack(block) for row, block in self.rows(sql, {"rows": firsts})}
            for row, type_, id_, source, behind in named:
                content = blocks[row - behind][behind]
                found[self.starts[number] + row] = Found(type_, id_, source, content, mode)
        return [found[rid] for rid in rids]


class Searcher:
    """Answers searches, one after the other; keeps files open, and locks nobody out by that."""

    def __init__(self, layout: Layout, *, seconds: float = _SECONDS) -> None:
        """Begin without opening anything.

        Args:
            layout: where the lake is.
            seconds: after which a search is given up as too costly.
        """
        self._layout, self._seconds = layout, seconds
        self._open: dict[str, _Open] = {}

    def __enter__(self) -> Self:
        """Nothing is opened before it is asked for."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Close all files."""
        for each in self._open.values():
            each.connection.close()
        self._open.clear()

    def search(self, text: str, *, lenient: bool = False, now: datetime | None = None) -> bytes:
        """Answer a search.

        Args:
            text: such as `Observation?code=8480-6`, percent-encoded where it has to be.
            lenient: go on without parameters that are unknown, and say so.
            now: what `ap` measures times from.

        Returns:
            A Bundle of the type searchset, as JSON.

        Raises:
            SearchError: what is wrong with the search.
            NoIndexError: the index was never made.
        """
        query = parse_query(text, lenient=lenient)
        name, last = _read_page(query)
        opened = self._generation(name)
        statement = Statement(now or datetime.now(UTC))
        with self._limited(opened.connection, self._seconds):
            sql = statement.matches(query)
            opened.rows(f"CREATE OR REPLACE TEMP TABLE matches AS {sql}", statement.values)
            total = None
            if query.total or query.summary == "count" or query.count == 0:
                total = opened.rows("SELECT count(*) FROM matches", {})[0][0]
            if query.summary == "count" or query.count == 0:
                return searchset(query, [], total, None, None)
            paging = Statement(now or datetime.now(UTC))
            sql = paging.page(query.type, query.sorts, last, query.count + 1)
            page = opened.rows(sql, paging.values)
            shown = page[: query.count]
            following = _page_name(opened.name, shown[-1]) if len(page) > len(shown) else None
            rids = [row[0] for row in shown]
            found = opened.found(rids, "match")
            found += opened.found(list(_included(opened, rids, query.includes)), "include")
        return searchset(query, found, total, query.page, following)

    def _generation(self, name: str | None) -> _Open:
        if name is None or name not in self._open:
            generation = read_generation(self._layout, name)
            if generation is None and name is not None:
                raise refusal("expired", "_page: its state of the index is gone: search again")
            if generation is None:
                raise NoIndexError("there is no search index: materialize fhir/search_index first")
            if generation.parameters != own_parameters().digest:
                raise NoIndexError(
                    "the search index was made with other HC_SEARCH_PARAMETERS: materialize"
                    " fhir/search_index"
                )
            name = generation.name()
            if name not in self._open:
                while len(self._open) >= _MOST_OPEN:
                    self._open.pop(next(iter(self._open))).connection.close()
                try:
                    self._open[name] = _Open(self._layout, generation)
                except duckdb.Error as error:
                    raise _damaged(error) from None
        return self._open[name]

    @contextmanager
    def _limited(self, connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, connection.interrupt)
        timer.start()
        try:
            yield
        except (duckdb.InterruptException, duckdb.OutOfMemoryException):
            raise refusal("too-costly", "the search takes too long or too much memory") from None
        except duckdb.Error as error:
            raise _damaged(error) from None  # its text may quote rows
        finally:
            timer.cancel()


def _damaged(error: duckdb.Error) -> IndexDamagedError:
    return IndexDamagedError(
        f"{type(error).__name__} in the search index: delete the folder search below the data"
        " folder, and materialize fhir/search_index"
    )


def _included(opened: _Open, page: Sequence[int], includes: Sequence[Include]) -> list[int]:
    """Rows of what is included, each once, in the order in which it is come to."""
    found: dict[int, None] = {}
    newest, wanted = list(page), list(includes)
    while newest and wanted:
        reached = [rid for each in wanted for rid in _linked(opened, newest, each)]
        newest = [rid for rid in dict.fromkeys(reached) if rid not in found and rid not in page]
        found.update(dict.fromkeys(newest))
        if len(found) > _MOST_INCLUDED:
            raise refusal("too-costly", f"more than {_MOST_INCLUDED} resources to include")
        wanted = [each for each in includes if each.iterate]
    return list(found)


def _linked(opened: _Open, rids: Sequence[int], include: Include) -> list[int]:
    here, there = ("target", "ref") if include.reverse else ("ref", "target")
    values: dict[str, object] = {
        "rids": list(rids),
        "keys": [key_of(include.type, each.code) for each in include.parameters],
    }
    sql = (
        f"SELECT DISTINCT {there}.rid FROM refs AS ref JOIN resources AS target ON {LINKED}"  # noqa: S608
        " WHERE ref.key IN (SELECT unnest($keys::BIGINT[])) AND ref.part = 0"
        f" AND {here}.rid IN (SELECT unnest($rids::BIGINT[]))"
    )
    if include.target is not None:
        sql += " AND target.type = $target"
        values["target"] = include.target
    return [row[0] for row in opened.rows(f"{sql} ORDER BY 1", values)]


def _page_name(generation: str, row: Sequence[object]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([generation, *row])).decode().rstrip("=")


def _read_page(query: Query) -> tuple[str | None, list[object]]:
    """Name of the generation, and what the row before the page is sorted by."""
    if query.page is None:
        return None, []
    try:
        padded = query.page + "=" * (-len(query.page) % 4)
        name, *last = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise refusal("invalid", "_page: expected what a next link has") from error
    wanted = [int, *(int if s.parameter.type == "date" else str for s in query.sorts)]
    fits = len(last) == len(wanted) and all(
        type(value) is type_ or (value is None and number > 0)
        for number, (value, type_) in enumerate(zip(last, wanted, strict=False))
    )
    if not fits or not isinstance(name, str) or not name.isalnum():
        raise refusal("invalid", "_page: expected what a next link of the same search has")
    return name, last
