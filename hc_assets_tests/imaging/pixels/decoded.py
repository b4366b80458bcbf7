"""Frames of files, and files of compressed frames, for tests of pixels."""

import numpy as np
from pydicom import dcmread
from pydicom.encaps import encapsulate

from hc_assets.imaging.pixels.decoding import UndecodableFrame
from hc_assets.imaging.pixels.frames import Frame, iter_frames

RAMP = np.arange(12, dtype=np.uint16).reshape(3, 4)


def frames(path, **kwargs) -> list[Frame]:
    found = list(iter_frames(path, **kwargs))
    assert all(isinstance(frame, Frame) for frame in found), found
    return found


def only(path) -> Frame:
    (frame,) = frames(path)
    return frame


def failures(path, **kwargs) -> list[UndecodableFrame]:
    found = list(iter_frames(path, **kwargs))
    assert all(isinstance(frame, UndecodableFrame) for frame in found), found
    return found


def compressed(write_dicom, encoded: list[bytes], syntax: str, pixels=RAMP, **attributes):
    path = write_dicom(pixels, **attributes)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.NumberOfFrames = len(encoded)
    dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path)
    return path
