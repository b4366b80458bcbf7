"""What the package's code may not do, read from its syntax: pickle, eval, shells."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hc_assets

PACKAGE = Path(hc_assets.__file__).parent
# Modules that make objects, and so run code, from bytes
UNPICKLING = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "joblib",
    "jsonpickle",
}
SHELLS = {
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "pty.spawn",
    "asyncio.create_subprocess_shell",
}
UNSAFE = {"torch.load", "yaml.load", "builtins.eval", "builtins.exec"}
EVALUATION = {"eval", "exec", "compile", "__import__"}
# A view becomes a function: what is generated holds texts of the view as literals alone, which
# hc_assets_tests/fhir/views/test_rows.py proves
ALLOWED = {"fhir/views/fast/source.py": ["compile", "exec"]}
METHODS = {"read_pickle", "to_pickle", "unsafe_load"}


def imported(tree: ast.AST) -> dict[str, str]:
    """What each name that was imported stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.asname: each.name for each in node.names if each.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {e.asname or e.name: f"{node.module}.{e.name}" for e in node.names}
    return names


def called(node: ast.Call, stands_for: dict[str, str]) -> str:
    """Dotted name of what is called, as far as it is written out."""
    names: list[str] = []
    at: ast.expr = node.func
    while isinstance(at, ast.Attribute):
        names.append(at.attr)
        at = at.value
    if isinstance(at, ast.Name):
        names.append(stands_for.get(at.id, at.id))
    return ".".join(reversed(names))


def forbidden(source: str) -> Iterator[str]:
    """What of the forbidden a piece of source does, with its line."""
    tree = ast.parse(source)
    stands_for = imported(tree)
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        for module in modules:
            if module.partition(".")[0] in UNPICKLING:
                yield f"{node.lineno}: import of {module}"
        if not isinstance(node, ast.Call):
            continue
        name = called(node, stands_for)
        first = node.args[0] if node.args else None
        if isinstance(first, ast.List) and first.elts:
            program = first.elts[0]
            if isinstance(program, ast.Constant) and program.value in {"sh", "bash", "/bin/sh"}:
                yield f"{node.lineno}: {name}([shell, ...])"
        if name in EVALUATION | SHELLS | UNSAFE or name.rpartition(".")[2] in METHODS:
            yield f"{node.lineno}: {name}"
        for option in node.keywords:
            is_true = not (isinstance(option.value, ast.Constant) and option.value.value is False)
            if option.arg in {"shell", "allow_pickle"} and is_true:
                yield f"{node.lineno}: {name}({option.arg}=...)"


def test_no_pickle_of_data_no_eval_no_shell():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    found = {
        str(path.relative_to(PACKAGE)): violations
        for path in files
        if (violations := list(forbidden(path.read_text())))
    }
    without_lines = {
        path: sorted(each.partition(": ")[2] for each in violations)
        for path, violations in found.items()
    }
    assert without_lines == ALLOWED, found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "eval('1')",
        "exec(code)",
        "import os; os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run(['sh', '-c', text])",
        "from os import system as run; run('ls')",
        "import subprocess as s; s.getoutput('ls')",
        "import torch; torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
    ],
)
def test_each_of_them_would_be_found(source):
    assert list(forbidden(source))


def test_plain_calls_are_not_taken_for_them():
    assert not list(
        forbidden("re.compile('a'); subprocess.run(['ls']); np.load(p, allow_pickle=False)")
    )
