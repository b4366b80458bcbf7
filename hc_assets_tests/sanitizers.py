"""Runs a script with compiled code that says where it reads or writes out of bounds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest


def run_sanitized(sources: Iterable[Path], script: str | Path, folder: Path, *args: str) -> str:
    """Compile C with the sanitizers of addresses and of undefined behaviour, and run a script.

    Args:
        sources: the C files.
        script: Python, whose arguments are the compiled library and `args`.
        folder: for the library.
        args: of the script.

    Returns:
        What the script printed. The test is skipped where there is no gcc, or none with sanitizers;
        it fails where the script does, as it does at the first fault.
    """
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile with sanitizers")
    library = folder / "sanitized.so"
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fPIC", "-shared", "-fvisibility=hidden"]
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    files = sorted(map(str, sources))
    built = subprocess.run(["gcc", *flags, *checks, "-o", library, *files], check=False)
    if built.returncode:
        pytest.skip("gcc has no sanitizers here")
    runtimes = [
        subprocess.run(
            ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    environment = os.environ | {
        "LD_PRELOAD": " ".join(runtimes),
        "PYTHONMALLOC": "malloc",  # or reads past the end of a small text would go unseen
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    done = subprocess.run(
        [sys.executable, script, library, *args],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
