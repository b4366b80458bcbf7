"""A damaged private header is a reason, or other tiles; never an error of ours."""

import random

import numpy as np
import pytest

from hc_assets.imaging.headers.elements import Elements, dataset_elements
from hc_assets.imaging.headers.mosaics import UnknownMosaicError, tiling_of
from hc_assets.imaging.headers.reading import opened, parse
from hc_assets_tests.imaging import mosaic_files as made

DAMAGED = (0x00291010, 0x00651050, 0x00651051, 0x00280010, 0x00280011, 0x00200032, 0x00280030)


def _damaged(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    match draw.randrange(3):
        case 0:
            for _ in range(draw.randint(1, 8)):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
        case 1:
            del changed[draw.randrange(len(changed)) :]
        case 2:
            changed += draw.randbytes(20)
    return bytes(changed)


@pytest.mark.parametrize("make", [made.siemens, made.united_imaging])
def test_damage_to_a_header_is_never_an_error_of_ours(write_dicom, make):
    with opened(write_dicom(make(made.slices(7)))) as file:
        header, _ = parse(file)
    whole = dataset_elements(header)
    draw = random.Random(20)  # noqa: S311 - a seed, no secret
    outcomes = set()
    for _ in range(400):
        tag = draw.choice([tag for tag in DAMAGED if tag in whole])
        element = whole.raw[tag]
        raw = dict(whole.raw) | {tag: element._replace(value=_damaged(element.value, draw))}
        try:
            tiling = tiling_of(Elements(raw, whole.encodings, whole.is_signed))
        except UnknownMosaicError:
            outcomes.add("reason")
            continue
        parts = {tuple((s.start, s.stop) for s in tiling.part(n)) for n in range(tiling.count)}
        assert len(parts) == tiling.count
        assert tiling.positions is None or np.isfinite(tiling.positions).all()
        outcomes.add("tiles")
    assert outcomes == {"reason", "tiles"}
