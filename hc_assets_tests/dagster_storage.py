"""Dagster's SQLite storage without what it repeats for every statement.

It makes a new engine for each connection, so nothing that SQLAlchemy has compiled is used twice,
and reads its migrations from disk for each storage. Together that is a third of the time of the
small ingests of which the tests make hundreds. To be called before Dagster is imported, since its
modules import the function by name.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sqlalchemy
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

_ENGINES = 64  # an engine without a pool holds no connection


def reuse_engines() -> None:
    """Let `sqlalchemy.create_engine` return the same engine for the same SQLite file."""
    create: Callable[..., sqlalchemy.Engine] = sqlalchemy.create_engine

    @lru_cache(maxsize=_ENGINES)
    def reused(url: str, connection: tuple[tuple[str, Any], ...]) -> sqlalchemy.Engine:
        return create(url, poolclass=NullPool, connect_args=dict(connection))

    def create_engine(url: Any, **options: Any) -> sqlalchemy.Engine:
        is_sqlite = isinstance(url, str) and url.startswith("sqlite")
        connection = options.get("connect_args", {})
        others = {name: value for name, value in options.items() if name != "connect_args"}
        if is_sqlite and others == {"poolclass": NullPool}:
            return reused(url, tuple(sorted(connection.items())))
        return create(url, **options)

    sqlalchemy.create_engine = create_engine


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
