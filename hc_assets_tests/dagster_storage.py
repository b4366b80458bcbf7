"""Dagster's record without what it repeats for every statement and every run.

It makes a new engine and opens the file anew for each statement, so nothing that SQLAlchemy has
compiled is used twice; it reads its migrations from disk for each storage; and it starts four
processes a run that repeat what steps print. Together that is more than half of the time of the
small ingests of which the tests make hundreds. To be called before Dagster is imported, since its
modules import the functions by name.
"""

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import NullPool, QueuePool

_ENGINES = 64  # each keeps at most one connection


def reuse_engines() -> None:
    """Let `sqlalchemy.create_engine` return the same engine for the same SQLite file."""
    create: Callable[..., sqlalchemy.Engine] = sqlalchemy.create_engine

    @lru_cache(maxsize=_ENGINES)
    def reused(url: str, connection: tuple[tuple[str, Any], ...]) -> sqlalchemy.Engine:
        engine = create(url, poolclass=QueuePool, pool_size=1, connect_args=dict(connection))
        return _keeping(engine)

    def create_engine(url: Any, **options: Any) -> sqlalchemy.Engine:
        is_sqlite = isinstance(url, str) and url.startswith("sqlite")
        connection = options.get("connect_args", {})
        others = {name: value for name, value in options.items() if name != "connect_args"}
        if is_sqlite and others == {"poolclass": NullPool}:
            return reused(url, tuple(sorted(connection.items())))
        return create(url, **options)

    sqlalchemy.create_engine = create_engine


def _keeping(engine: sqlalchemy.Engine) -> sqlalchemy.Engine:
    """Let an engine keep its connection as long as the same file lies at its path."""
    engine.dispose = lambda close=True: None  # type: ignore[method-assign]
    path = engine.url.database

    def connected(_: object, record: Any) -> None:
        record.info["file"] = _file_at(path)

    def checked_out(_: object, record: Any, __: object) -> None:
        if record.info["file"] != _file_at(path):
            raise DisconnectionError("another file lies there now")

    event.listen(engine, "connect", connected)
    event.listen(engine, "checkout", checked_out)
    return engine


def _file_at(path: str | None) -> tuple[int, ...] | None:
    """What tells a file from another in its place, and a process from one that it forked."""
    if not path or not Path(path).exists():
        return None
    stat = Path(path).stat()
    return (os.getpid(), stat.st_dev, stat.st_ino)


def print_nothing_again() -> None:
    """Keep what steps print in the record alone, not on the terminal of the tests too."""
    from dagster._core.execution import compute_logs

    compute_logs.tail_to_stream = lambda path, stream: nullcontext((None, None))


def reuse_migrations() -> None:
    """Let Alembic read the migrations of a folder once."""
    read = ScriptDirectory.from_config
    directories: dict[str | None, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        if location not in directories:
            directories[location] = read(config)
        return directories[location]

    ScriptDirectory.from_config = staticmethod(from_config)  # type: ignore[assignment]
