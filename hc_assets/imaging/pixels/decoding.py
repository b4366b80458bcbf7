"""From the bytes of a pixel data element to arrays of stored values, one frame at a time.

Belongs here: cutting frames, trying decoders in order, keeping each one's words. Compressed frames
are decoded in a process of their own (`isolation.py`); what stored values mean is in `frames.py`.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, ParamSpec, TypeVar

from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
    RLELossless,
)

from hc_assets.core.fence import InternalError, fenced
from hc_assets.imaging.headers.dataset_encoding import GE_PRIVATE_BIG_ENDIAN
from hc_assets.imaging.headers.reading import (
    PARSE_ERRORS,
    Header,
    PixelPlace,
    quiet_pydicom,
    raise_if_ours,
)
from hc_assets.imaging.pixels.codestreams import Codestream, read_codestream
from hc_assets.imaging.pixels.encapsulation import (
    TruncatedError,
    UnknownFramesError,
    bytes_from,
    encoded_frames,
)
from hc_assets.imaging.pixels.held_frames import frames_held
from hc_assets.imaging.pixels.isolation import DecoderDiedError, DecoderFailedError, shared_process
from hc_assets.imaging.pixels.pixel_description import PixelDescription
from hc_assets.imaging.pixels.plain_frames import inflated_frame, plain_frame, run_lengths_of_bits
from hc_assets.imaging.pixels.stored_values import (
    UnknownSignError,
    contradiction,
    other_size,
    stored_values,
)

DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
JPEG_XL = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112))
FRAME_LIMIT = 1024**3
"""Bytes of one decoded frame that are allowed, unless the caller says otherwise."""
MISSING_LIMIT = 1_000
"""Missing frames beyond what the bytes can hold that have an outcome each; the rest share one."""

# The order of pydicom itself, so that lossy images come out as its pixel_array gives them; last
# one of our own for what none of its plugins can do
_ORDER = ("gdcm", "pylibjpeg", "pyjpegls", "pydicom", "pillow", "imagecodecs")
# Spectral selection and full progression, which PS3.5 retired and pydicom never had
_PROGRESSIVE = frozenset({"1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55"})
_BY_IMAGECODECS = JPEG_XL | _PROGRESSIVE | {JPEGExtended12Bit}
_WORDS_LIMIT = 500
_UNABLE = ("does not support", "sample precision")
# Two bytes of a run make at most 128 (PS3.5 G.3.1)
_RLE_RATIO = 64
_NATIVE = {
    UID(GE_PRIVATE_BIG_ENDIAN),
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
}
# Their cells come as they are; what other codecs encode are the stored bits alone
_WHOLE_CELLS = {DEFLATED_IMAGE_FRAME, ENCAPSULATED_UNCOMPRESSED, RLELossless}
# What they encode comes back changed; the others may have been told to lose, too, but rarely do
_LOSSY_JPEG = {f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55)}
_LOSSY = _LOSSY_JPEG | {f"1.2.840.10008.1.2.4.{number}" for number in (81, 91, 93, 203, 112)}

Pixels = NDArray[Any]
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class UndecodableFrame:
    """A frame whose pixels can't be had.

    Attributes:
        index: number of the frame, from 0.
        reason: what is wrong, for a person.
        decoders: name and own words of each decoder that was tried, in order.
    """

    index: int
    reason: str
    decoders: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class StoredFrame:
    """A frame of stored values.

    Attributes:
        index: number of the frame, from 0.
        values: rows by columns, or rows by columns by 3 in RGB; integers, or floats of float data.
        photometric: PhotometricInterpretation of `values`.
        decoder: name of the decoder that gave them.
        notes: what is odd about them.
    """

    index: int
    values: Pixels
    photometric: str
    decoder: str
    notes: tuple[str, ...] = ()


Outcome = StoredFrame | UndecodableFrame


def stored_frames(
    stream: BinaryIO,
    header: Header,
    place: PixelPlace,
    description: PixelDescription,
    *,
    wanted: frozenset[int] | None = None,
    frame_limit: int = FRAME_LIMIT,
) -> Iterator[Outcome]:
    """Decode frames in order, one in memory at a time.

    Args:
        stream: what the place's offset counts in.
        header: of the file.
        place: where the pixel data are.
        description: what the header says about them.
        wanted: numbers of the frames to decode; None for all.
        frame_limit: bytes that a decoded frame may take up.

    Yields:
        Each wanted frame, decoded or with the reason why not.
    """
    is_native = header.transfer_syntax in _NATIVE or (
        # Uncompressed in spite of its transfer syntax
        place.length is not None and place.length * 8 >= description.frame_bits
    )
    held = frames_held(
        bytes_from(stream, place.offset),
        None if is_native else str(header.transfer_syntax),
        description.frame_bits,
    )
    reported = min(description.frames, held + MISSING_LIMIT)
    indices = list(range(reported)) if wanted is None else sorted(i for i in wanted if i < reported)
    size = description.decoded_bytes
    if size > frame_limit:
        reason = f"a frame takes up {size} bytes, more than the {frame_limit} that are allowed"
        yield from (UndecodableFrame(index, reason) for index in indices)
        indices = []
    low_bits = description.low_bits if is_native or header.transfer_syntax in _WHOLE_CELLS else 0
    if low_bits:
        description = replace(description, bits_stored=description.high_bit + 1)
    elif description.low_bits:
        # The cells hold nothing below
        high = description.bits_stored - 1
        note = f"HighBit is {description.high_bit}: of a compressed image {high} is assumed"
        description = replace(description, high_bit=high, assumed=(*description.assumed, note))
    decoded = _native_frames if is_native else _encapsulated_frames
    for outcome in decoded(stream, header, place, description, indices):
        if low_bits and isinstance(outcome, StoredFrame):
            yield replace(outcome, values=outcome.values >> low_bits)
        else:
            yield outcome
    if reported < description.frames and (wanted is None or reported in wanted):
        yield UndecodableFrame(
            reported,
            f"NumberOfFrames is {description.frames}, the pixel data can't hold more than {held}:"
            " this frame and all behind it are missing",
        )


def _native_frames(
    stream: BinaryIO,
    header: Header,
    place: PixelPlace,
    description: PixelDescription,
    indices: list[int],
) -> Iterator[Outcome]:
    if place.length is None:
        for index in indices:
            yield UndecodableFrame(
                index, "pixel data of undefined length, but the transfer syntax is uncompressed"
            )
        return
    available = min(place.length, bytes_from(stream, place.offset))
    if description.photometric == "YBR_FULL_422":
        full = replace(description, photometric="YBR_FULL")
        if available * 8 >= full.frame_bits * full.frames:
            note = "the pixels are not subsampled, whatever PhotometricInterpretation says"
            description = replace(full, assumed=(*full.assumed, note))
    bits = description.frame_bits
    is_ge_big = header.transfer_syntax == GE_PRIVATE_BIG_ENDIAN
    usual_vr = "OB" if is_ge_big and description.bits_allocated == 8 else "OW"
    options: dict[str, Any] = description.options() | {
        "pixel_keyword": place.keyword,
        "pixel_vr": place.vr or usual_vr,
        "number_of_frames": description.frames,
    }
    # Of the encoding only the byte order matters to pixels
    little, big = ExplicitVRLittleEndian, ExplicitVRBigEndian
    decoder = get_decoder(little if header.is_little_endian and not is_ge_big else big)
    for index in indices:
        end = -(-(index + 1) * bits // 8)
        if end > available:
            yield UndecodableFrame(
                index, f"the pixel data are truncated: {available} bytes, {end} are needed"
            )
            continue

        def decode(index: int = index) -> tuple[Pixels, str]:
            stream.seek(place.offset)
            values, properties = decoder.as_array(stream, index=index, **options)
            return values, str(properties["photometric_interpretation"])

        outcome = fenced_frame(index, _in_place, index, "pydicom", decode)
        if isinstance(outcome, StoredFrame):
            outcome = fenced_frame(index, _as_stored, outcome, description)
        yield outcome


def fenced_frame(
    index: int, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> R | UndecodableFrame:
    """Call a function for one frame; what it raises (`core/fence.py`) is why there is no frame."""
    result = fenced(function, *args, **kwargs)
    return UndecodableFrame(index, result.text) if isinstance(result, InternalError) else result


def _encapsulated_frames(
    stream: BinaryIO,
    header: Header,
    place: PixelPlace,
    description: PixelDescription,
    indices: list[int],
) -> Iterator[Outcome]:
    pending = iter(indices)
    index = next(pending, None)
    reason = "the pixel data hold no encoded data for this frame"
    decoders = _Decoders(header.transfer_syntax, description)
    if decoders.missing_reason:
        for index in indices:
            yield UndecodableFrame(index, decoders.missing_reason)
        return
    encoded = enumerate(encoded_frames(stream, header, place.offset, description.frames))
    while index is not None:
        try:
            with quiet_pydicom():
                number, data = next(encoded)
        except StopIteration:
            break
        except TruncatedError:
            reason = "the pixel data are truncated: the file ends within this frame or before it"
            break
        except UnknownFramesError as error:
            reason = str(error)
            break
        if number == index:
            yield fenced_frame(index, decoders.decode, index, data)
            index = next(pending, None)
    else:
        if len(indices) == description.frames and next(encoded, None) is not None:
            yield UndecodableFrame(
                description.frames,
                f"the pixel data hold more frames than NumberOfFrames says, {description.frames}:"
                " this one and all behind it are not read",
            )
    while index is not None:
        yield UndecodableFrame(index, reason)
        index = next(pending, None)


class _Decoders:
    """The decoders of one file: those that died on it are not asked again."""

    def __init__(self, syntax: UID, description: PixelDescription) -> None:
        if syntax not in _WHOLE_CELLS:
            # A codestream has an order of its own; taken at its word, the header's mixes colors up
            description = replace(description, planar=0)
        self._syntax, self._description = syntax, description
        self._died: dict[str, str] = {}
        try:
            with quiet_pydicom():
                available = get_decoder(syntax).available_plugins
        except NotImplementedError:
            available = ()
        if syntax in _BY_IMAGECODECS:
            available = (*available, "imagecodecs")
        self._names = [name for name in _ORDER if name in available]
        self.missing_reason: str | None = None
        """Why no frame can be decoded at all, as of video; None where one may be."""
        if not self._names and syntax not in (DEFLATED_IMAGE_FRAME, ENCAPSULATED_UNCOMPRESSED):
            name = f" ({syntax.name})" if syntax.name != syntax else ""
            self.missing_reason = f"no decoder for transfer syntax {syntax}{name}"
        elif syntax in _LOSSY_JPEG and description.is_color and not description.has_photometric:
            self.missing_reason = "without PhotometricInterpretation its colors may be RGB or YCbCr"

    def decode(self, index: int, data: bytes) -> Outcome:
        described = self._description
        codestream = read_codestream(data)
        refused = None
        if codestream is not None:
            is_dct = self._syntax in _LOSSY_JPEG
            refused = contradiction(codestream, described, is_dct=is_dct)
        if refused is not None:
            # Decoders make room for what the codestream says, and that may be 65,535 squared
            return UndecodableFrame(index, refused)
        outcome = self._decoded(index, data)
        if isinstance(outcome, UndecodableFrame):
            return outcome
        if outcome.values.shape[:2] != (described.rows, described.columns):
            rows, columns = outcome.values.shape[:2]
            return UndecodableFrame(index, other_size(rows, columns, described))
        return _as_stored(outcome, described, codestream, is_lossy=self._syntax in _LOSSY)

    def _decoded(self, index: int, data: bytes) -> Outcome:
        described = self._description
        if self._syntax == RLELossless and described.frame_bits > len(data) * 8 * _RLE_RATIO:
            return UndecodableFrame(
                index,
                f"the frame has {len(data)} encoded bytes, too few for {described.columns} by"
                f" {described.rows} pixels",
            )
        if self._syntax == DEFLATED_IMAGE_FRAME:
            return _in_place(index, "deflate", lambda: inflated_frame(data, described))
        if self._syntax == ENCAPSULATED_UNCOMPRESSED:
            return _in_place(index, "pydicom", lambda: plain_frame(data, described))
        if self._syntax == RLELossless and described.bits_allocated == 1:
            return _in_place(index, "rle-1-bit", lambda: run_lengths_of_bits(data, described))
        return self._first_success(index, data)

    def _first_success(self, index: int, data: bytes) -> Outcome:
        failures = []
        for name in self._names:
            if name in self._died:
                failures.append((name, self._died[name]))
                continue
            try:
                values, photometric = shared_process().decode(
                    data, str(self._syntax), name, self._description.options()
                )
            except DecoderFailedError as error:
                failures.append((name, str(error)))
                if isinstance(error, DecoderDiedError):
                    self._died[name] = f"{error}, on frame {index}"
            else:
                # What none of its kind can be is no damage
                tried = [other for other, why in failures if not any(w in why for w in _UNABLE)]
                notes = tuple(f"{other} can't decode the frame" for other in tried)
                return StoredFrame(index, values, photometric, name, notes)
        return UndecodableFrame(index, "no decoder can read the frame", tuple(failures))


def _as_stored(
    frame: StoredFrame,
    description: PixelDescription,
    codestream: Codestream | None = None,
    *,
    is_lossy: bool = False,
) -> Outcome:
    try:
        values, notes = stored_values(frame.values, description, codestream, is_lossy=is_lossy)
    except UnknownSignError as error:
        return UndecodableFrame(frame.index, str(error))
    return replace(frame, values=values, notes=(*description.assumed, *frame.notes, *notes))


def _in_place(index: int, name: str, decode: Callable[[], tuple[Pixels, str]]) -> Outcome:
    """Run a decoder that is plain Python and NumPy, and so raises what it says it does."""
    try:
        with quiet_pydicom():
            values, photometric = decode()
    except (*PARSE_ERRORS, zlib.error) as error:
        raise_if_ours(error)
        words = str(error)[:_WORDS_LIMIT]
        return UndecodableFrame(index, "no decoder can read the frame", ((name, words),))
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return StoredFrame(index, native, photometric, name)
