import shutil
from pathlib import Path

import pytest

from hc_assets_tests.native_fuzzing import TARGETS, run


@pytest.mark.sanitized
@pytest.mark.skipif(shutil.which("clang") is None, reason="no clang to compile libFuzzer in")
@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_fuzzing_finds_nothing(name: str, tmp_path: Path):
    assert run(name, tmp_path / name, seconds=3) == 0
