"""What one reader says of one file."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from benchmarks.oracles.dicom.neutral import Dataset


@dataclass(frozen=True)
class Verdict:
    """What one reader says of one file.

    Attributes:
        dataset: its elements but pixels and file meta information; None where it reads nothing.
        is_partial: whether it stopped before the end: what it lacks says nothing then.
        words: its own words on what is wrong.
        frames: stored values of each frame; None for one that it refuses.
        can_decode: whether it has an opinion on frames; without, there are none in `frames`.
    """

    dataset: Dataset | None
    is_partial: bool = False
    words: str = ""
    frames: list[NDArray[Any] | None] = field(default_factory=list)
    can_decode: bool = False
