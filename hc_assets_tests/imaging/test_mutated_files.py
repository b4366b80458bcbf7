"""Files with random damage: each is accounted for, none takes the reader down."""

import random

import pytest

from hc_assets.imaging.headers import read_header
from hc_assets.imaging.pixels import Frame, iter_frames
from hc_assets.imaging.preprocessing.registry import pipeline_for
from hc_assets.imaging.quality import measure
from hc_assets.imaging.reading import UnreadableFile

MUTATIONS = 600
FRAMES = 5


def mutated(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    header = min(len(out), 3000)
    kind = rng.randrange(6)
    if kind == 0:
        for _ in range(rng.randrange(1, 8)):
            out[rng.randrange(len(out))] = rng.randrange(256)
    elif kind == 1:
        del out[rng.randrange(1, len(out)) :]
    elif kind == 2:
        for _ in range(rng.randrange(1, 8)):
            out[rng.randrange(128, header)] = rng.randrange(256)
    elif kind == 3:
        at = rng.randrange(128, header)
        out[at : at + 4] = rng.choice(
            [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"SQ\0\0"]
        )
    else:
        start = rng.randrange(len(out))
        piece = out[start : rng.randrange(start, min(len(out), start + 500))]
        if kind == 4:
            del out[start : start + len(piece)]
        else:
            out[start:start] = piece
    return bytes(out)


@pytest.mark.parametrize("seed", range(3))
def test_damage_costs_no_more_than_the_file(pydicom_files, tmp_path, seed):
    rng = random.Random(seed)  # noqa: S311 - a repeatable one is what is wanted
    sources = [path.read_bytes() for path in pydicom_files if 300 < path.stat().st_size < 60_000]
    path = tmp_path / "mutated.dcm"
    outcomes = {"unreadable": 0, "frames": 0, "undecodable": 0}
    for _ in range(MUTATIONS // 3):
        path.write_bytes(mutated(rng.choice(sources), rng))
        try:
            assert read_header(path)["dicom_json"]
        except UnreadableFile:
            outcomes["unreadable"] += 1
            continue
        for frame in iter_frames(path, wanted=frozenset(range(FRAMES))):
            if isinstance(frame, Frame):
                outcomes["frames"] += 1
                assert measure(frame).explanation
                if frame.pixels.size < 100_000:
                    pipeline_for(frame.context.modality).run(frame)
            else:
                assert frame.reason
                outcomes["undecodable"] += 1
    assert all(outcomes.values()), outcomes
