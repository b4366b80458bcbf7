"""Dagster instances in SQLite, and in a PostgreSQL server of the tests' own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest


def _server_programs() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    for folder in [*folders, *([Path(found).parent] if found else [])]:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    return None


def _as_a_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return [] if os.geteuid() else ["runuser", "-u", "postgres", "--"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Folder of the socket of a PostgreSQL server that listens to nothing else."""
    pytest.importorskip("dagster_postgres", reason="the extra hc-assets[postgres] is not installed")
    programs = _server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (Debian: postgresql)")
    if not os.geteuid() and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if not os.geteuid():
        shutil.chown(folder, "postgres")
    run = [*_as_a_user()]
    data = folder / "data"
    try:
        subprocess.run(
            [*run, str(programs / "initdb"), "-D", str(data), "-U", "tests", "--auth=trust", "-N"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        # A server set to another time zone must not move the times of the report.
        options = f"-k {folder} -c listen_addresses='' -c timezone=Asia/Kolkata -c fsync=off"
        subprocess.run(
            [*run, str(programs / "pg_ctl"), "-D", str(data), "-o", options, "-w", "start"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        try:
            yield str(folder)
        finally:
            subprocess.run(
                [*run, str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"],
                check=True,
                capture_output=True,
                cwd=folder,
            )
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in SQLite."""
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def any_instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance, in each kind of storage."""
    if request.param == "sqlite":
        yield request.getfixturevalue("instance")
        return
    folder = request.getfixturevalue("postgres")
    database = f"d{abs(hash(tmp_path))}"
    subprocess.run(["createdb", "-h", folder, "-U", "tests", database], check=True)
    # Without +psycopg2, SQLAlchemy 2.1 looks for another driver than Dagster brings.
    url = f"postgresql+psycopg2://tests@/{database}?host={folder}"
    overrides = {"storage": {"postgres": {"postgres_url": url}}}
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=overrides) as made:
        yield made
