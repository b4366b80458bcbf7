"""Texts that are nearly JSON, read by the compiled code; alone, also by another build of it."""

import ctypes
import random
import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from hc_assets.fhir.enrichment.columns import resource_columns, resource_texts
from hc_assets.fhir.enrichment.columns.resource_columns import (
    PLAN,
    distinct,
    hashed,
    joined,
    judged,
    replaced,
    rows_with,
)
from hc_assets.fhir.enrichment.columns.resource_texts import Compact, Texts, compacted, members_in

_KNOWN = (
    b'{"resourceType":"X","subject":{"reference":"Patient/1"},"a":["\\"",1.5e3,null,{}]}',
    b'{ "reference" : "\\u0041\\\\" , "b" : [ [ ] , { "reference":"x" } ] }',
    b"{}",
    b'{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"a","resource":{"id":"x"}},{}]}',
    b'{"a":"2020-02-29","period":{"start":"1999-12-31T23:59:59.25+14:00","end":"2000-01"}}',
    b'{"period":{"end":"2000"},"issued":"2015-02-07T13:28:17Z"}',
)
_BYTES = b'"\\{}[]:, \n\x00\xff1TZ-+.'


def hostile(seed: int, count: int) -> Iterator[bytes]:
    """Return texts that were JSON before some of their bytes were changed, cut or doubled."""
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


def _read_columns(compact: Compact) -> None:
    """Do all that is done to a column; every member is read as each kind of time."""
    rows_with([b"\\u00", b'"reference"'], compact.texts)
    places = compact.references[:, 1:]
    distinct(compact.texts.buffer, places, np.zeros(len(places), np.int32))
    which = np.arange(len(places)) % 3 - 1
    texts = replaced(compact.texts, compact.references, which, [b"", b"Patient/longer-than-before"])
    members = members_in(texts)
    ends = members.values + texts.offsets[0]
    hashed(texts.buffer, ends.astype(np.int64)[None], np.zeros(1, np.uint64))
    count, one = len(members.values), np.zeros(1, np.int64)
    for place in range(count):
        plan = np.full(1, -1, np.int32).astype(PLAN)
        for name in PLAN.names or ():
            plan[name] = place
        judged(
            members,
            plan_of=np.zeros(1, np.int32),
            plans=plan,
            patient_of=one,
            patients=np.zeros(1, "u8, i8, i8, i8, i8, ?, u1"),
            encounter_of=one,
            encounters=np.zeros(1, "u8, i8, ?, i8, ?"),
            sex_of_code=np.ones(1, np.uint8),
        )
    pieces = np.array([[[0, begin, end] for begin, end in ends.tolist()]], np.int64)
    joined([texts.buffer], pieces.reshape(1, count, 3), pa.array([False]))


def read_hostile(seed: int, count: int) -> int:
    """Read each alone, so that its end is that of a buffer; how many could be read."""
    read = 0
    for text in hostile(seed, count):
        try:
            _read_columns(compacted(pa.array([text], pa.binary())))
            members_in(Texts(text, np.array([0, len(text)], np.int64)))
        except ValueError:
            continue
        read += 1
    return read


def main(library: str, seed: int, count: int) -> None:
    """Read them with another build of the compiled code; print how many could be read."""
    sanitized = ctypes.CDLL(library)
    for module in (resource_texts, resource_columns):
        module.load_library = lambda *_: sanitized  # type: ignore[attr-defined]
    sys.stdout.write(str(read_hostile(seed, count)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
