"""From the frames of a volume to its voxels, on a grid in the patient.

Belongs here: reading the frames into place, and judging whether they are a grid as they are, can be
made one, or are none. Which frames those are is in `splitting.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hc_assets.core.fence import InternalError
from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.imaging.pixels.decoding import UndecodableFrame
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.volumes.geometry import Lineup, line_up
from hc_assets.imaging.volumes.resampling import (
    GridTooLargeError,
    MisalignedSlicesError,
    straightened,
)
from hc_assets.imaging.volumes.splitting import Candidate, PlacedFrame
from hc_assets.imaging.volumes.volume import Volume, Voxels


class NoVolumeError(Exception):
    """Frames make no volume.

    Attributes:
        verdict: a word of `schemas.VERDICTS`, or the text of an `InternalError`.
    """

    def __init__(self, verdict: str) -> None:
        super().__init__(verdict)
        self.verdict = verdict


@dataclass(frozen=True)
class Assembled:
    """A volume with what was found on the way.

    Attributes:
        volume: the voxels, tilt and spacing corrected where need was.
        verdict: as_sent, or resampled.
        findings: words of `schemas.FINDINGS`.
        lineup: where the slices lay as they were sent.
        sources: of each slice of the volume, the number among the frames of what it was made of;
            2.25 is a quarter of the way from number 2 to number 3.
        units: of the voxels; "" where unknown.
    """

    volume: Volume
    verdict: str
    findings: tuple[str, ...]
    lineup: Lineup
    sources: tuple[float, ...]
    units: str


def assemble(candidate: Candidate, paths: Sequence[Path], *, limit: int) -> Assembled:
    """Read the frames of a volume and put them onto a grid.

    Args:
        candidate: the frames, in order, with what was found of them.
        paths: of the files of the series, by number.
        limit: bytes that the slices may take up.

    Returns:
        The volume: as sent, voxel by voxel, where the slices are a grid; resampled where they are
        tilted, moved or unevenly spaced.

    Raises:
        NoVolumeError: the frames make no volume, with the verdict why.
    """
    if candidate.refusal:
        raise NoVolumeError(candidate.refusal)
    frames = candidate.frames
    rows, columns, spacing = frames[0].grid[:3]
    if not isinstance(spacing, tuple):
        raise NoVolumeError("no_pixel_spacing")
    if len(frames) * _count(rows) * _count(columns) * 4 > limit:
        raise NoVolumeError("too_large")
    lineup = line_up([f.position for f in frames], frames[0].orientation, spacing)
    stored = _Stored((len(frames), _count(rows), _count(columns)))
    stored.read(frames, paths)
    findings = list(candidate.findings)
    if not lineup.is_straight:
        findings.append("tilt" if lineup.is_tilted else "shifted_slices")
    if not lineup.is_even:
        findings.append("variable_spacing")
    fill = stored.least
    if lineup.is_straight and lineup.is_even:
        volume = Volume(stored.voxels, lineup.affine(), fill)
        sources = tuple(float(number) for number in range(len(frames)))
        return Assembled(volume, "as_sent", tuple(findings), lineup, sources, stored.units)
    try:
        # What was padded would leak into its neighbours
        volume, places = straightened(stored.unpadded(fill), lineup, fill, limit=limit)
    except MisalignedSlicesError as error:
        raise NoVolumeError("misaligned_slices") from error
    except GridTooLargeError as error:
        raise NoVolumeError("too_large") from error
    sources = tuple(float(place) for place in places)
    return Assembled(volume, "resampled", tuple(findings), lineup, sources, stored.units)


def _count(value: object) -> int:
    if not isinstance(value, int):
        raise NoVolumeError("undecodable")
    return value


class _Stored:
    """Slices as they were sent, in modality units."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.voxels: Voxels = np.empty(shape, np.float32)
        self.least = 0.0
        self.units = ""
        self._padding: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]] = {}

    def read(self, frames: Sequence[PlacedFrame], paths: Sequence[Path]) -> None:
        """Read each frame into the slice it belongs to."""
        slots: dict[int, dict[int, list[int]]] = {}
        for slot, frame in enumerate(frames):
            slots.setdefault(frame.file, {}).setdefault(frame.frame, []).append(slot)
        for file, of_file in slots.items():
            done = 0
            try:
                for read in iter_frames(paths[file], wanted=frozenset(of_file)):
                    if isinstance(read, UndecodableFrame):
                        if InternalError.of_text(read.reason):
                            raise NoVolumeError(read.reason)
                    else:
                        self._place(read, of_file[read.index])
                        done += 1
            except UnreadableFile as error:
                raise NoVolumeError("undecodable") from error
            if done < len(of_file):
                raise NoVolumeError("undecodable")
        values = [self._kept(slot) for slot in range(len(frames))]
        least = [float(each.min()) for each in values if each.size]
        self.least = min(least, default=float(self.voxels.min()))
        if not np.isfinite(self.voxels).all():
            raise NoVolumeError("not_finite")

    def _place(self, frame: Frame, slots: Sequence[int]) -> None:
        if frame.is_color:
            raise NoVolumeError("color")
        if frame.context.is_labels:
            raise NoVolumeError("labels")
        if frame.context.has_unknown_units:
            raise NoVolumeError("unknown_units")
        self.units = frame.context.units
        if frame.pixels.shape != self.voxels.shape[1:]:
            raise NoVolumeError("undecodable")
        for slot in slots:
            self.voxels[slot] = frame.pixels
            if frame.padding is not None:
                self._padding[slot] = frame.padding

    def _kept(self, slot: int) -> Voxels:
        padding = self._padding.get(slot)
        kept: Voxels = self.voxels[slot] if padding is None else self.voxels[slot][~padding]
        return kept

    def unpadded(self, fill: float) -> Voxels:
        """The slices with the fill in place of what the scanner padded."""
        for slot, padding in self._padding.items():
            self.voxels[slot][padding] = fill
        return self.voxels
