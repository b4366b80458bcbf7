"""Which tests one process runs: those that share what is costly to make.

The tests of a file share its fixtures; those of some folders also what `conftest.py` makes once.
"""

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

FOLDERS = ("faults", "browser")
"""Folders whose files share a fixture."""
FIRST = (
    "faults",
    "end_to_end/test_dicom.py",
    "browser",
    "privacy/test_planted_identifiers.py",
    "test_a_further_domain.py",
    "end_to_end/test_dagster_command.py",
)
"""What takes longest; begun first, so that no process is left with it at the end."""


def scope_of(nodeid: str) -> str:
    """Folder or file, within the folder of all tests, whose tests one process runs."""
    file = PurePosixPath(*PurePosixPath(nodeid.partition("::")[0]).parts[1:])
    return file.parts[0] if file.parts[0] in FOLDERS else file.as_posix()


def place_of(nodeid: str) -> int:
    """Place of a test in the order in which they begin; equal where it does not matter."""
    scope = scope_of(nodeid)
    return FIRST.index(scope) if scope in FIRST else len(FIRST)


class ByScope(LoadScopeScheduling):
    """Hands each scope to one process, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
