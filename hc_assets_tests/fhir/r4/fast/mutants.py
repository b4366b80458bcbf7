"""Texts that are nearly valid resources: valid ones after a few seeded accidents of bytes.

Belongs here: making them. What must hold for them is in `test_compiled_code.py`, which also runs
this file as a program under sanitizers.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

VALID = json.loads(Path(__file__).with_name("valid_resources.json").read_text("utf-8"))
_PIECES = [
    *(b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"/", b"?", b"#", b"0", b"-", b"null"),
    *(b"\\u00", b"\\ud83d", b"\\n", b"\xff", b"\xe2\x82", b"\xc3\xa9", b"urn:", b'"id":"x",'),
    b'"_birthDate":{"extension":[{"url":"a","valueString":"b"}]},',
    b'"resourceType":"Patient",',
    b'"extension":[{"url":"http://a.b","valueString":"b"}],',
]


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Return texts, the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    texts = [json.dumps(each, indent=indent).encode() for each in VALID for indent in (None, 2)]
    for _ in range(count):
        text = bytearray(chance.choice(texts))
        for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
            at = chance.randrange(len(text) + 1)
            match chance.randrange(6):
                case 0 if text:
                    text[min(at, len(text) - 1)] = chance.randrange(256)
                case 1:
                    del text[at : at + chance.choice([1, 2, 5, 40])]
                case 2:
                    text[at:at] = chance.choice(_PIECES)
                case 3:
                    del text[at:]
                case 4:
                    start = chance.randrange(len(text) + 1)
                    text[at:at] = text[start : start + chance.choice([3, 20, 200])]
                case _:
                    other = chance.choice(texts)
                    start = chance.randrange(len(other))
                    text[at:at] = other[start : start + chance.choice([10, 100])]
        yield bytes(text)


def main(library: str, seed: int, count: int) -> None:
    """Judge mutants with another build of the compiled code; print how many it accepted."""
    import ctypes

    from hc_assets.fhir.r4.fast import fast_path

    fast_path.load_library = lambda *_: ctypes.CDLL(library)  # type: ignore[attr-defined]
    accepted = 0
    for text in mutants(seed, count):
        accepted += fast_path.accept(text) is not None
        fast_path.accept_envelope(text)
    sys.stdout.write(str(accepted))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
