from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from upath import UPath

from hc_assets.lake.locks import exclusive


def test_nobody_else_has_the_lock_while_the_block_runs(tmp_path: Path):
    lock = tmp_path / "exports" / ".lock"
    other = FileLock(lock, timeout=0)
    with exclusive(UPath(lock)), pytest.raises(Timeout):
        other.acquire()
    with other:
        assert lock.stat().st_mode & 0o777 == 0o600
        assert lock.parent.stat().st_mode & 0o777 == 0o700


def test_an_object_store_has_no_locks():
    with exclusive(UPath("memory://exports/.lock")) as nothing:
        assert nothing is None
    assert not UPath("memory://exports/.lock").exists()
