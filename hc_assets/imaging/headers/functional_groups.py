"""Where an attribute of one frame is: in functional groups (PS3.3 C.7.6.16) or in the dataset.

Belongs here: the lookup alone. What the attributes are used for is in `read.py` and
`imaging/pixels/frames.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hc_assets.imaging.headers.elements import Elements, MalformedValueError

SHARED_GROUPS = 0x52009229
PER_FRAME_GROUPS = 0x52009230

MACROS = {
    0x00280030: 0x00289110,  # PixelSpacing in PixelMeasuresSequence
    0x00180050: 0x00289110,  # SliceThickness
    0x00180088: 0x00289110,  # SpacingBetweenSlices
    0x00200037: 0x00209116,  # ImageOrientationPatient in PlaneOrientationSequence
    0x00200032: 0x00209113,  # ImagePositionPatient in PlanePositionSequence
    0x00281052: 0x00289145,  # RescaleIntercept in PixelValueTransformationSequence
    0x00281053: 0x00289145,  # RescaleSlope
    0x00281054: 0x00289145,  # RescaleType
    0x00281050: 0x00289132,  # WindowCenter in FrameVOILUTSequence
    0x00281051: 0x00289132,  # WindowWidth
    0x00281056: 0x00289132,  # VOILUTFunction
    0x00283010: 0x00289132,  # VOILUTSequence
}


@dataclass(frozen=True)
class FrameAttributes:
    """Attributes of the frames of one dataset.

    Attributes:
        dataset: its elements.
    """

    dataset: Elements

    @cached_property
    def _shared(self) -> Sequence[Elements]:
        return _items(self.dataset, SHARED_GROUPS)

    @cached_property
    def _per_frame(self) -> Sequence[Elements]:
        return _items(self.dataset, PER_FRAME_GROUPS)

    @property
    def vary_by_frame(self) -> bool:
        """Whether an attribute may be another in another frame."""
        return bool(self._per_frame)

    def holder(self, tag: int, frame: int) -> Elements:
        """Find the elements that hold an attribute for a frame.

        Args:
            tag: of the attribute.
            frame: number of the frame, from 0.

        Returns:
            The item of the frame's functional group, else of the shared one, else the dataset,
            whether or not the attribute is there.
        """
        macro = MACROS.get(tag)
        if macro is None:
            return self.dataset
        for groups in (self._per_frame[frame : frame + 1], self._shared[:1]):
            for group in groups:
                for item in _items(group, macro)[:1]:
                    if tag in item:
                        return item
        return self.dataset


def _items(elements: Elements, tag: int) -> Sequence[Elements]:
    try:
        return elements.items(tag)
    except MalformedValueError:
        return ()  # dicom_json notes it: the whole dataset goes through there
