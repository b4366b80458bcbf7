"""Texts that are nearly JSON, read by the compiled code; alone, also by another build of it."""

import ctypes
import random
import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from hc_assets.fhir import bundle_entries, resource_texts
from hc_assets.fhir.resource_texts import Texts, compacted, resources_in

_KNOWN = (
    b'{"resourceType":"X","subject":{"reference":"Patient/1"},"a":["\\"",1.5e3,null,{}]}',
    b'{ "reference" : "\\u0041\\\\" , "b" : [ [ ] , { "reference":"x" } ] }',
    b"{}",
    b'{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"a","resource":{"id":"x"}},{}]}',
)
_BYTES = b'"\\{}[]:, \n\x00\xff1'


def hostile(seed: int, count: int) -> Iterator[bytes]:
    """Give texts that were JSON before some of their bytes were changed, cut or doubled."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    for _ in range(count):
        text = bytearray(chance.choice(_KNOWN))
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(text)) if text else 0
            match chance.randrange(3):
                case 0 if text:
                    text[at] = chance.choice(_BYTES)
                case 1:
                    del text[at:]
                case _:
                    text[at:at] = text[at : at + chance.randrange(9)]
        yield bytes(text)


def read_hostile(seed: int, count: int) -> int:
    """Read each alone, so that its end is that of a buffer; how many could be read."""
    read = 0
    for text in hostile(seed, count):
        bundle_entries.bundle_places(text)
        try:
            resources_in(compacted(pa.array([text], pa.binary())).texts)
            resources_in(Texts(text, np.array([0, len(text)], np.int64)))
        except ValueError:
            continue
        read += 1
    return read


def main(library: str, seed: int, count: int) -> None:
    """Read them with another build of the compiled code; print how many could be read."""
    sanitized = ctypes.CDLL(library)
    for module in (resource_texts, bundle_entries):
        module.load_library = lambda _: sanitized  # type: ignore[attr-defined]
    sys.stdout.write(str(read_hostile(seed, count)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
