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
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

_LENGTHS = struct.Struct("<QQ")
_WORDS_LIMIT = 500


def write_message(stream: BinaryIO, told: dict[str, Any], data: bytes | memoryview) -> None:
    """Write a message: two lengths, a JSON object, bytes."""
    head = json.dumps(told).encode()
    stream.write(_LENGTHS.pack(len(head), len(data)))
    stream.write(head)
    stream.write(data)
    stream.flush()


def lengths(head: bytes) -> tuple[int, int]:
    """Lengths of a message's JSON and bytes, from its first `LENGTHS_SIZE` bytes."""
    told, data = _LENGTHS.unpack(head)
    return told, data


LENGTHS_SIZE = _LENGTHS.size


def decode(
    data: bytes, syntax: str, decoder: str, options: dict[str, Any]
) -> tuple[NDArray[Any], str]:
    """Decode one compressed frame with one decoder.

    Args:
        data: the compressed frame.
        syntax: transfer syntax UID.
        decoder: name of pydicom's plugin.
        options: of pydicom's decoders.

    Returns:
        The array in native byte order, and its PhotometricInterpretation.
    """
    values, properties = get_decoder(UID(syntax)).as_array(
        encapsulate([data]), index=0, decoding_plugin=decoder, **options
    )
    native = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))
    return native, str(properties["photometric_interpretation"])


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Decode frames until there are no more requests."""
    while head := requests.read(LENGTHS_SIZE):
        told_size, data_size = lengths(head)
        told = json.loads(requests.read(told_size))
        data = requests.read(data_size)
        try:
            values, photometric = decode(data, told["syntax"], told["decoder"], told["options"])
        except (KeyboardInterrupt, SystemExit):
            raise
        # The one place where anything may be caught: decoders are native code and plugins that
        # raise whatever they like (a panic of Rust is no Exception), and must cost this frame
        # only. Their words go back and become a row; nothing is hidden.
        except BaseException as error:  # noqa: BLE001
            write_message(answers, {"words": _own_words(told["decoder"], error)}, b"")
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
