"""A process of its own for decoders: native code that meets hostile bytes may take it down.

Belongs here: the child's loop, and the messages that both sides exchange. Starting the child and
living through its end is in `isolation.py`. Imports no more than decoding needs, so that it starts
fast.
"""

import json
import resource
import struct
import sys
import warnings
from typing import Any, BinaryIO

import gdcm
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

_LENGTHS = struct.Struct("<QQ")
_WORDS_LIMIT = 500
_END_OF_IMAGE = b"\xff\xd9"
_COLOR_MARKERS = (b"JFIF\0", b"Adobe\0")
_JPEG_XL = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112))


def write_message(stream: BinaryIO, content: dict[str, Any], data: bytes | memoryview) -> None:
    """Write a message: two lengths, a JSON object, bytes."""
    head = json.dumps(content).encode()
    stream.write(_LENGTHS.pack(len(head), len(data)))
    stream.write(head)
    stream.write(data)
    stream.flush()


def lengths(head: bytes) -> tuple[int, int]:
    """Lengths of a message's JSON and bytes, from its first `LENGTHS_SIZE` bytes."""
    content, data = _LENGTHS.unpack(head)
    return content, data


LENGTHS_SIZE = _LENGTHS.size


def decode(
    data: bytes, syntax: str, decoder: str, options: dict[str, Any]
) -> tuple[NDArray[Any], str]:
    """Decode one compressed frame with one decoder.

    Args:
        data: the compressed frame.
        syntax: transfer syntax UID.
        decoder: name of pydicom's plugin, or imagecodecs.
        options: of pydicom's decoders.

    Returns:
        The array in native byte order, and its PhotometricInterpretation.
    """
    if decoder == "imagecodecs":
        return _by_imagecodecs(data, syntax, options)
    values, properties = get_decoder(UID(syntax)).as_array(
        encapsulate([data]), index=0, decoding_plugin=decoder, **options
    )
    native = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))
    return native, str(properties["photometric_interpretation"])


def _by_imagecodecs(data: bytes, syntax: str, options: dict[str, Any]) -> tuple[NDArray[Any], str]:
    """Decode what pydicom has no working plugin for: 12-bit and progressive JPEG, and JPEG XL.

    Raises:
        ValueError: the image is truncated, or has another shape, or more bits, than the header
            says.
    """
    if syntax in _JPEG_XL:
        values: NDArray[Any] = imagecodecs.jpegxl_decode(data)
    elif _END_OF_IMAGE in data[-64:]:  # behind it there may be padding
        values = imagecodecs.jpeg8_decode(data, **_color_space(data, options))
    else:
        # libjpeg would fill up what is missing with gray, and only warn
        raise ValueError("the JPEG image is truncated: it has no end marker")
    samples = (3,) if options["samples_per_pixel"] == 3 else ()
    shape = (options["rows"], options["columns"], *samples)
    allocated = np.dtype(f"u{options['bits_allocated'] // 8}")
    if values.shape != shape or values.dtype.kind != "u":
        raise ValueError(f"the image is {values.dtype} of shape {values.shape}, not {shape}")
    if values.max() > 2 ** options["bits_stored"] - 1:
        raise ValueError(f"the image has more than {options['bits_stored']} bits")
    values = values.astype(allocated)
    if options["pixel_representation"]:
        # Codecs know no sign: the highest stored bit is it
        unused = options["bits_allocated"] - options["bits_stored"]
        values = (values << unused).view(allocated.str.replace("u", "i")) >> unused
    color = "RGB" if options["samples_per_pixel"] == 3 else options["photometric_interpretation"]
    return np.ascontiguousarray(values), color


def _color_space(data: bytes, options: dict[str, Any]) -> dict[str, Any]:
    """What libjpeg shall not guess: without a marker it takes three components for YCbCr."""
    is_marked = any(marker in data[:4096] for marker in _COLOR_MARKERS)
    if options["photometric_interpretation"] == "RGB" and not is_marked:
        return {"colorspace": "RGB", "outcolorspace": "RGB"}
    return {}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Signal that decoding can begin, then decode frames until there are no more requests."""
    write_message(answers, {}, b"")
    while head := requests.read(LENGTHS_SIZE):
        request_size, data_size = lengths(head)
        request = json.loads(requests.read(request_size))
        data = requests.read(data_size)
        try:
            values, photometric = decode(
                data, request["syntax"], request["decoder"], request["options"]
            )
        except (KeyboardInterrupt, SystemExit):
            raise
        # The one place where anything may be caught: decoders are native code and plugins that
        # raise whatever they like (a panic of Rust is no Exception), and must cost this frame
        # only. Their words go back and become a row; nothing is hidden.
        except BaseException as error:  # noqa: BLE001
            write_message(answers, {"words": _own_words(request["decoder"], error)}, b"")
        else:
            answer = {
                "shape": values.shape,
                "dtype": values.dtype.str,
                "photometric": photometric,
            }
            write_message(answers, answer, values.data.cast("B"))


def _own_words(name: str, error: BaseException) -> str:
    words = str(error) or type(error).__name__
    # pydicom wraps a plugin's exception in a text of its own
    _, found, own = words.partition(f"{name}: ")
    return (own if found else words).strip()[:_WORDS_LIMIT]


def main(memory_limit: int) -> None:
    """Serve standard input and output with so many bytes of memory at most."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    for quiet in (gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff, gdcm.Trace.DebugOff):
        quiet()
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
