"""The rules of the house, read from the code's syntax: who imports whom, how large rooms are.

docs/contributing.md says where things belong; the messages here say what to do.
"""

import ast
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import hc_assets
from hc_assets.domains import CATALOG, DOMAINS

PACKAGE = Path(hc_assets.__file__).parent
ROOT = PACKAGE.parent
GROUND = {"core", "lake"}
SHELL = {"orchestration", "cli", "reports", "domains", "definitions", "settings", "api"}
NAMES = {domain.name for domain in DOMAINS}
MOST_MODULES, MOST_LINES = 25, 400
# The modules of a domain that are wired to Dagster or to the command line
FACES = re.compile(r"(assets|checks|commands?|\w+_command)\.py")
# Whoever makes or receives FHIR holds it against R4
FOR_ALL = "hc_assets.fhir.validation"

# Of any domain: `domain.py` is named without saying whose
SAME_EVERYWHERE = {
    "domain.py",
    "settings.py",
    "schemas.py",
    "assets.py",
    "checks.py",
    "commands.py",
}


def modules() -> Iterator[Path]:
    yield from sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """Top folder of a module, or its own name where it lies in none."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Modules that are imported, wherever in the file; of the package, with the name taken."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def misplaced(path: Path, tree: ast.AST) -> Iterator[str]:
    """What a module imports that its room may not, each with what to do."""
    own = room(path)
    is_face = own in NAMES and FACES.fullmatch(path.name) is not None
    for name in imports(tree):
        if name.split(".")[0] in {"dagster", "dagster_duckdb", "dagster_shared"}:
            is_wired = own in {"orchestration", "definitions"} or path.name in {
                "assets.py",
                "checks.py",
            }
            if not is_wired:
                yield f"imports {name}: wire it in assets.py, checks.py or orchestration/"
        if not name.startswith("hc_assets."):
            continue
        other = name.split(".")[1]
        if own in GROUND and other not in GROUND:
            yield f"imports {name}: core and lake know no domain; take what is needed as a value"
        elif own in SHELL | {"sample_data"} and other in NAMES:
            is_typing = own == "settings"  # which type checkers are shown what is put together
            if not is_typing:
                yield f"imports {name}: reach domains through hc_assets.domains"
        elif own in NAMES and other in NAMES - {own} and not name.startswith(FOR_ALL):
            yield f"imports {name}: read another domain's tables by name, and declare it in `reads`"
        elif own in NAMES and other in SHELL and not is_face:
            yield f"imports {name}: only assets, checks and commands of a domain are wired"


def undeclared_tables(path: Path, tree: ast.AST) -> Iterator[str]:
    """Tables of other domains that a domain's module names and its declaration does not."""
    own = room(path)
    domain = next((each for each in DOMAINS if each.name == own), None)
    if domain is None:
        return
    others = {t for t in CATALOG.tables if not t.startswith(f"{own}/")} - {*domain.reads}
    named = {name: re.compile(rf"\b{name.replace('/', '[./]')}\b") for name in others}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for name, pattern in named.items():
                if pattern.search(node.value):
                    yield f"names {name}: declare it in `reads` of {own}/domain.py"


def test_each_room_imports_only_what_it_may():
    faults = [
        f"{path.relative_to(ROOT)} {fault}"
        for path in modules()
        for tree in [ast.parse(path.read_text())]
        for fault in (*misplaced(path, tree), *undeclared_tables(path, tree))
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("core/a.py", "from hc_assets.fhir import units", "core and lake know no domain"),
        ("lake/a.py", "import hc_assets.orchestration.specs", "core and lake know no domain"),
        ("fhir/a.py", "from hc_assets.imaging.pixels.frames import Frame", "another domain's"),
        (
            "fhir/a.py",
            "def f():\n    from hc_assets.cli.exit_codes import print_message",
            "only assets",
        ),
        ("cli/a.py", "from hc_assets.imaging import domain", "through hc_assets.domains"),
        ("reports/a.py", "from hc_assets.fhir import times", "through hc_assets.domains"),
        ("fhir/bundles/a.py", "import dagster as dg", "wire it in"),
        ("fhir/a.py", 'SQL = "SELECT * FROM imaging.series"', "declare it in `reads`"),
    ],
)
def test_what_a_room_may_not_do_is_found(path, source, fault):
    at, tree = PACKAGE / path, ast.parse(source)
    assert any(fault in each for each in (*misplaced(at, tree), *undeclared_tables(at, tree)))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("imaging/series/a.py", "from hc_assets.fhir.validation import validate"),
        ("imaging/a.py", 'SQL = "SELECT * FROM fhir.current_resources"'),
        ("fhir/commands.py", "from hc_assets.cli.exit_codes import print_message"),
        ("fhir/operations/assets.py", "import dagster as dg"),
        ("lake/a.py", "from hc_assets.core.domain import Kind"),
    ],
)
def test_what_a_room_may_do_is_not_found(path, source):
    at, tree = PACKAGE / path, ast.parse(source)
    assert [*misplaced(at, tree), *undeclared_tables(at, tree)] == []


def test_no_room_is_a_hall_and_no_module_a_book():
    """Divide it by what it does; a folder's modules are named by what the folder does not say."""
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in modules())
    assert {name: count for name, count in counts.items() if count > MOST_MODULES} == {}
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in modules()
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


MENTION = re.compile(r"(?<![\w./*{<\"'-])([a-z_0-9][a-z_0-9/]*\.(?:py|c|h|jinja|css))\b(?![\w/(])")


def prose(path: Path) -> Iterator[str]:
    """Docstrings and comments of a module; the whole of a document."""
    if path.suffix != ".py":
        # Blocks of code refer to the reader's files
        yield re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.string


def missing(path: Path, text: str) -> Iterator[str]:
    """Files that a text names and that are neither in a room around it nor below the package."""
    for name in MENTION.findall(text):
        around = [*path.parents[: len(path.relative_to(ROOT).parts)], PACKAGE]
        if name in SAME_EVERYWHERE:
            around += [PACKAGE / domain for domain in NAMES]
        if not any((folder / name).is_file() for folder in around):
            yield name


def test_no_text_names_a_file_that_does_not_exist():
    """Name it as it lies beside the text, or from hc_assets/ on."""
    texts = [*modules(), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    found = {
        str(path.relative_to(ROOT)): names
        for path in texts
        if (names := sorted({each for text in prose(path) for each in missing(path, text)}))
    }
    assert found == {}


def test_a_file_that_does_not_exist_would_be_found():
    here = PACKAGE / "lake" / "parts.py"
    assert [*missing(here, "is in `tables.py`, `lake/parts.py` and `core/domain.py`")] == []
    assert [*missing(here, "is in `nowhere.py` and lake/nothing.py")] == [
        "nowhere.py",
        "lake/nothing.py",
    ]
