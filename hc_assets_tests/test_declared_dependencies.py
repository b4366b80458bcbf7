"""What the code imports is what pyproject.toml declares, and a version of it is pinned."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OWN = {"hc_assets", "hc_assets_tests"}
# Extras that modules of the package import on their own account, once they are asked for
OPTIONAL = {"torch"}
# Modules of a script's own folder, and a benchmark's peers, which it names and asks to install
BESIDE = {"deliveries", "kill_points"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project() -> dict[str, list[str]]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": groups["dependencies"], **groups["optional-dependencies"]}


def names(requirements: Iterable[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", each) for each in requirements)
    return {canonical(each[0]) for each in found if each}


def imported(path: Path) -> Iterator[str]:
    """Top names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def undeclared(folder: Path, declared: set[str]) -> dict[str, set[str]]:
    """Modules that no declared distribution brings, by file."""
    brought_by = packages_distributions()
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        for module in set(imported(path)) - OWN - BESIDE - sys.stdlib_module_names:
            # One that isn't installed goes by its own name
            brings = {canonical(each) for each in brought_by.get(module, [module])}
            if not brings & declared:
                found.setdefault(str(path.relative_to(ROOT)), set()).add(module)
    return found


def test_the_package_imports_what_it_declares():
    declared = names(project()[""])
    assert undeclared(ROOT / "hc_assets", declared | OPTIONAL) == {}


def test_the_tests_import_what_is_declared_for_them():
    groups = project()
    declared = names(
        [
            *groups[""],
            *groups["dev"],
            *groups["postgres"],
            *groups["torch"],
        ]
    )
    assert undeclared(ROOT / "hc_assets_tests", declared | {"benchmarks"}) == {}


def test_an_import_that_is_not_declared_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("import os\ndef f():\n    from nowhere.at import all\n")
    assert undeclared(tmp_path, {"numpy"}) == {"a.py": {"nowhere"}}


@pytest.mark.parametrize("extra", ["", "postgres", "dev"])
def test_what_is_declared_is_pinned(extra):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = names(line for line in lines if "==" in line and not line.startswith("#"))
    assert names(project()[extra]) - pinned - {"hc-assets"} == set()
