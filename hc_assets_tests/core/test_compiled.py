"""Libraries are refused that were compiled for another layout than their caller's.

Belongs here: the handshake of all compiled code. What the libraries do is tested beside their
callers.
"""

import ctypes
import importlib.machinery
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from hc_assets.core.compiled import load_library
from hc_assets.fhir.bundles import entry_columns
from hc_assets.fhir.enrichment.columns import resource_columns, resource_texts
from hc_assets.fhir.r4.fast import fast_path, packed_rows
from hc_assets.imaging.headers import fast_headers
from hc_assets.imaging.preprocessing import local_contrast

_OTHER_VERSION = r"compiled for another version: reinstall \(pip install -e \.\)"
_FAST_PATH = "hc_assets.fhir.r4.fast._fast_path"
_TEXTS = "hc_assets.fhir.enrichment.columns._resource_texts"
_CALLERS = (
    (_FAST_PATH, fast_path._LAYOUT),
    (_FAST_PATH, entry_columns._LAYOUT),
    (_TEXTS, resource_columns._LAYOUT),
    (_TEXTS, resource_texts._LAYOUT),
    ("hc_assets.imaging.headers._header_walk", fast_headers._LAYOUT),
    ("hc_assets.imaging.preprocessing._local_contrast", local_contrast._LAYOUT),
)
_FACTS = [
    pytest.param(module, layout, name, id=f"{module.rpartition('.')[2]}-{name}")
    for module, layout in _CALLERS
    for name in layout
]


@pytest.mark.parametrize(("module", "layout"), _CALLERS)
def test_a_library_of_the_same_layout_is_loaded(module: str, layout: Mapping[str, int]) -> None:
    assert isinstance(load_library(module, layout), ctypes.CDLL)


@pytest.mark.parametrize(("module", "layout", "name"), _FACTS)
def test_one_more_field_or_kind_on_either_side_is_refused(
    module: str, layout: Mapping[str, int], name: str
) -> None:
    for other in (layout[name] + 1, layout[name] - 1, layout[name] + 4):
        with pytest.raises(ImportError, match=f"{_OTHER_VERSION}; {name} differ"):
            load_library(module, {**layout, name: other})


@pytest.mark.parametrize(("module", "layout"), _CALLERS)
def test_what_the_library_does_not_state_is_refused(module: str, layout: Mapping[str, int]) -> None:
    with pytest.raises(ImportError, match=_OTHER_VERSION):
        load_library(module, {**layout, "one more row": 0})


def test_a_row_with_one_more_field_has_another_size() -> None:
    class Longer(ctypes.Structure):
        _fields_ = (*packed_rows.Packed._fields_, ("more", ctypes.c_void_p))

    assert packed_rows.row_size(packed_rows.MemberRow) == 4 * len(packed_rows.MemberRow._fields)
    assert ctypes.sizeof(Longer) != ctypes.sizeof(packed_rows.Packed)


def _compiled(code: str, name: str, folder: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    source = folder / f"{name}.c"
    source.write_text(code)
    library = folder / f"{name}{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)


@pytest.mark.parametrize(("module", "layout"), _CALLERS)
def test_a_library_older_than_the_handshake_is_refused(
    module: str, layout: Mapping[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"_older_{module.rpartition('.')[2]}_{len(layout)}"
    _compiled("int hc_accept(void) { return 0; }", name, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=_OTHER_VERSION):
        load_library(name, layout)


def test_what_other_callers_rely_on_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = Path(load_library.__code__.co_filename).parent / "native" / "layout.h"
    code = f'#include "{header}"\nLAYOUT({{"version", 3}}, {{"Row", 24}})'
    _compiled(code, "_of_two_callers", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert load_library("_of_two_callers", {"version": 3}).hc_layout
    with pytest.raises(ImportError, match="Row differ"):
        load_library("_of_two_callers", {"version": 3, "Row": 28})


def test_a_library_that_was_not_compiled_is_reported() -> None:
    with pytest.raises(ImportError, match="install the project"):
        load_library("hc_assets.fhir.r4._not_there", {})
