"""Fuzzing of the compiled libraries, guided by which of their branches an input reaches.

Belongs here: building each with libFuzzer and the sanitizers of addresses and of undefined
behaviour, and a target for each, which calls it as the package does. Needs clang. As a program:
`python -m hc_assets_tests.native_fuzzing SECONDS [TARGET…]`; ends with 1 where a target finds a
fault or takes 10 seconds, at an input which lies in the folder that is named.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import hc_assets

_PACKAGE = Path(hc_assets.__file__).parent
_FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fPIC", "-shared", "-shared-libasan"]
# Or the sanitizer's own functions would be called in the place of those of the same name
_FLAGS += ["-fvisibility=hidden"]
_CHECKS = ["-fsanitize=fuzzer-no-link,address,undefined", "-fno-sanitize-recover=all"]
_LARGEST = 16 * 1024
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)

Target = Callable[[bytes], object]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _take(library: ctypes.CDLL, *modules: ModuleType) -> None:
    for module in modules:
        module.load_library = lambda *_: library  # type: ignore[attr-defined]


def _validation(library: ctypes.CDLL) -> Target:
    from hc_assets.fhir.r4.fast import fast_path

    _take(library, fast_path)

    def judge(text: bytes) -> None:
        fast_path.accept(text)
        fast_path.holds_only_data()
        fast_path.accept_envelope(text)

    return judge


def _entries(library: ctypes.CDLL) -> Target:
    from hc_assets.fhir.bundles import entry_columns

    _take(library, entry_columns)

    def read(text: bytes) -> None:
        calls = entry_columns._library()
        for rows in (
            entry_columns._spans(text, len(text) + 1, calls.hc_regular_entries),
            entry_columns._spans(text, len(text) + 1, calls.hc_regular_lines, 0),
        ):
            if rows is not None and len(rows):
                entry_columns._gathered(text, rows)

    return read


def _texts(library: ctypes.CDLL) -> Target:
    import numpy as np
    import pyarrow as pa

    from hc_assets.fhir.enrichment.columns import resource_columns, resource_texts
    from hc_assets_tests.fhir.enrichment.columns import hostile_texts

    _take(library, resource_texts, resource_columns)

    def read(text: bytes) -> None:
        try:
            hostile_texts._read_columns(resource_texts.compacted(pa.array([text], pa.binary())))
            ends = np.array([0, len(text)], np.int64)
            hostile_texts.members_in(hostile_texts.Texts(text, ends))
        except ValueError:
            return

    return read


def _headers(library: ctypes.CDLL) -> Target:
    from hc_assets.imaging.headers import fast_headers

    _take(library, fast_headers)
    path = Path(tempfile.mkdtemp()) / "file.dcm"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        fast_headers.fast_header(path)

    return read


def _contrast(library: ctypes.CDLL) -> Target:
    import numpy as np

    from hc_assets.imaging.preprocessing import local_contrast

    _take(library, local_contrast)

    def equalise(data: bytes) -> None:
        if len(data) < 6:
            return
        width, tiles, bins, limit, skip = data[0] + 1, data[1] + 1, data[2] + 2, data[3], data[4]
        values = np.frombuffer(data, np.uint8, offset=5).astype(np.float32) / 255
        rows = len(values) // width
        if rows:
            local_contrast.equalised(
                values[: rows * width].reshape(rows, width),
                clip_limit=limit / 16,
                tiles=tiles,
                bins=bins,
                skip_zeros=bool(skip % 2),
            )

    return equalise


def _json_seeds() -> Iterable[bytes]:
    from hc_assets_tests.fhir.r4.fast.mutants import VALID
    from hc_assets_tests.fhir.validation.damaged_bundles import DOCUMENTS

    return [*(json.dumps(each).encode() for each in VALID), *(each.encode() for each in DOCUMENTS)]


def _bundle_seeds() -> Iterable[bytes]:
    from hc_assets_tests.fhir.bundles.test_entry_columns import accidents

    return list(accidents(1, 200))


def _header_seeds() -> Iterable[bytes]:
    import pydicom

    from hc_assets_tests.imaging.headers.mutated_headers import headers

    return headers(sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm")))


def _pixel_seeds() -> Iterable[bytes]:
    return [bytes([31, 3, 30, 32, 1]) + bytes(range(256)) * 4]


@dataclass(frozen=True)
class Fuzzed:
    """A library, a target that calls it, and inputs to begin with."""

    sources: str
    target: Callable[[ctypes.CDLL], Target]
    seeds: Callable[[], Iterable[bytes]]


TARGETS = {
    "validation": Fuzzed("fhir/r4/fast/native", _validation, _json_seeds),
    "entries": Fuzzed("fhir/r4/fast/native", _entries, _bundle_seeds),
    "texts": Fuzzed("fhir/enrichment/columns/native", _texts, _json_seeds),
    "headers": Fuzzed("imaging/headers/native", _headers, _header_seeds),
    "contrast": Fuzzed("imaging/preprocessing/native", _contrast, _pixel_seeds),
}


def _clang_file(name: str) -> str:
    command = ["clang", f"-print-file-name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def build(fuzzed: Fuzzed, folder: Path) -> Path:
    """Compile a library with libFuzzer in it."""
    library = folder / "fuzzed.so"
    engine = _clang_file(f"libclang_rt.fuzzer_no_main-{os.uname().machine}.a")
    sources = sorted(map(str, (_PACKAGE / fuzzed.sources).glob("*.c")))
    whole = ["-Wl,--whole-archive", engine, "-Wl,--no-whole-archive", "-lstdc++", "-lm"]
    subprocess.run(["clang", *_FLAGS, *_CHECKS, "-o", library, *sources, *whole], check=True)
    return library


def run(name: str, folder: Path, seconds: int) -> int:
    """Fuzz a target in a process of its own; give how it ended."""
    fuzzed = TARGETS[name]
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    for number, seed in enumerate(fuzzed.seeds()):
        (corpus / f"{number:05}").write_bytes(seed[:_LARGEST])
    library = build(fuzzed, folder)
    environment = os.environ | {
        "LD_PRELOAD": _clang_file(f"libclang_rt.asan-{os.uname().machine}.so"),
        "PYTHONMALLOC": "malloc",  # or reads past the end of a small text would go unseen
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "HC_FUZZ_TARGET": name,
    }
    options = [
        *(f"-max_total_time={seconds}", f"-max_len={_LARGEST}", "-rss_limit_mb=4096"),
        *("-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={folder}/"),
    ]
    command = [sys.executable, "-m", "hc_assets_tests.native_fuzzing", library, *options, corpus]
    return subprocess.run(command, env=environment, check=False).returncode


def fuzz(arguments: list[str]) -> int:
    """Hand this process over to libFuzzer."""
    library = ctypes.CDLL(arguments[0])
    fuzzed = TARGETS[os.environ["HC_FUZZ_TARGET"]]
    target = fuzzed.target(library)
    for seed in fuzzed.seeds():
        target(seed)  # what is imported or made once is no input's slowness

    def call(data: int, size: int) -> int:
        try:
            target(ctypes.string_at(data, size))
        except BaseException as error:  # noqa: BLE001 - ctypes would go on after it
            _say(f"the caller raised {type(error).__name__}: {error}")
            os.abort()
        return 0

    callback = _Callback(call)
    words = [b"fuzz", *(each.encode() for each in arguments[1:])]
    argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    count, pointer = ctypes.c_int(len(words)), ctypes.pointer(argv)
    result: int = library.LLVMFuzzerRunDriver(ctypes.byref(count), ctypes.byref(pointer), callback)
    return result


def main() -> int:
    """Fuzz every target for so many seconds; give the exit code."""
    if "HC_FUZZ_TARGET" in os.environ:
        return fuzz(sys.argv[1:])
    if shutil.which("clang") is None:
        _say("fuzzing of compiled code needs clang (Debian: apt-get install clang)")
        return 4
    failed = []
    for name in sys.argv[2:] or TARGETS:
        folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
        _say(f"==> {name}")
        if run(name, folder, int(sys.argv[1])) or list(folder.glob("slow-unit-*")):
            failed.append(f"{name}: {folder}")
        else:
            shutil.rmtree(folder)
    _say("\n".join(failed) or "nothing was found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
