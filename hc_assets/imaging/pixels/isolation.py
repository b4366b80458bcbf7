"""Decoding in a process of its own, with limits, so that a crash costs one frame.

Belongs here: starting the process, talking to it, ending it. What it does is in
`decoder_process.py`; which decoders are tried is decided in `decoding.py`.
"""

import atexit
import functools
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.decoder_process import LENGTHS_SIZE, lengths, write_message

SECONDS = 60.0
"""Time that a decoder has for one frame."""
START_SECONDS = 120.0
"""Time that the process has until it can decode: it loads libraries first."""
END_SECONDS = 5.0
"""Time that a crashing process has to report the reason."""
MEMORY = 6 * 1024**3
"""Address space of the process: libraries and thread stacks reserve more than they use."""


class DecoderFailedError(Exception):
    """A decoder could not decode a frame; its words are the text."""


class DecoderDiedError(DecoderFailedError):
    """A decoder took its process down, or was ended because it took too long."""


class DecoderProcess:
    """A child that decodes; started when first needed, and again after it died.

    Use as a context manager or call `close`. It ends by itself when its parent does.

    Args:
        seconds: that a decoder has for one frame, once the child is ready.
        start_seconds: that the child has to become ready.
        end_seconds: for a crashing child to report the reason.
        memory: bytes of its address space.
    """

    def __init__(
        self,
        *,
        seconds: float = SECONDS,
        start_seconds: float = START_SECONDS,
        end_seconds: float = END_SECONDS,
        memory: int = MEMORY,
    ) -> None:
        self._seconds, self._start_seconds = seconds, start_seconds
        self._end_seconds, self._memory = end_seconds, memory
        self._child: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._lock = threading.Lock()

    def __enter__(self) -> "DecoderProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def decode(
        self, data: bytes, syntax: str, decoder: str, options: dict[str, Any]
    ) -> tuple[NDArray[Any], str]:
        """Decode one compressed frame with one decoder.

        Args:
            data: the compressed frame.
            syntax: transfer syntax UID.
            decoder: name of pydicom's plugin, or imagecodecs.
            options: of pydicom's decoders, as JSON has them.

        Returns:
            The array and its PhotometricInterpretation.

        Raises:
            DecoderFailedError: the decoder raised; the text is its own.
            DecoderDiedError: it crashed or took longer than allowed.
        """
        with self._lock:
            return self._decode(data, {"syntax": syntax, "decoder": decoder, "options": options})

    def _decode(self, data: bytes, request: dict[str, Any]) -> tuple[NDArray[Any], str]:
        child = self._running()
        seconds = self._start_seconds
        try:
            if not self._is_ready:
                # Its first message; a decoder's time does not count before
                _answer(child, seconds)
                self._is_ready = True
            seconds = self._seconds
            write_message(_pipe(child.stdin), request, data)
            answer, values = _answer(child, seconds)
        except (BrokenPipeError, EOFError) as error:
            code = self._end(child, grace=self._end_seconds)
            raise DecoderDiedError(
                f"the decoder took its process down ({_ending(code)})"
            ) from error
        except TimeoutError as error:
            self._end(child, grace=0)
            raise DecoderDiedError(f"no result after {seconds:g} seconds") from error
        except BaseException:
            # What it still sends would be taken for the next frame's
            self._end(child, grace=0)
            raise
        if "words" in answer:
            raise DecoderFailedError(answer["words"])
        array = np.frombuffer(values, answer["dtype"]).reshape(answer["shape"])
        return array, answer["photometric"]

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._end(self._child, grace=0)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            # The child must find the package where its parent found it
            path = os.pathsep.join(entry for entry in sys.path if entry)
            self._child = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [
                    sys.executable,
                    "-m",
                    "hc_assets.imaging.pixels.decoder_process",
                    str(self._memory),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Decoders print what they then raise, and more
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            )
        return self._child

    def _end(self, child: subprocess.Popen[bytes], *, grace: float) -> int:
        self._child, self._is_ready = None, False
        try:
            # A crashing one may still report the reason
            code = child.wait(timeout=grace)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                _close(pipe)
        return code


def shared_process() -> DecoderProcess:
    """The decoder process of this process, ended at exit."""
    return _process_of(os.getpid())


@functools.cache
def _process_of(_pid: int) -> DecoderProcess:
    # By process id, since a fork would otherwise share its parent's pipes
    process = DecoderProcess()
    atexit.register(process.close)
    return process


def _pipe(pipe: IO[bytes] | None) -> Any:
    if pipe is None:
        raise BrokenPipeError
    return pipe


def _answer(child: subprocess.Popen[bytes], seconds: float) -> tuple[dict[str, Any], bytearray]:
    """Read a message of the child.

    Raises:
        EOFError: the child is gone.
        TimeoutError: it did not come within so many seconds.
    """
    deadline = time.monotonic() + seconds
    pipe = _pipe(child.stdout)
    head_size, data_size = lengths(bytes(_read(pipe, LENGTHS_SIZE, deadline)))
    answer: dict[str, Any] = json.loads(_read(pipe, head_size, deadline))
    return answer, _read(pipe, data_size, deadline)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # what was still to be written has no reader any more


def _read(pipe: Any, size: int, deadline: float) -> bytearray:
    """Read so many bytes.

    Raises:
        EOFError: the writer is gone.
        TimeoutError: they did not come in time.
    """
    data = bytearray(size)
    view = memoryview(data)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while view:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            count = os.readv(pipe.fileno(), [view])
            if not count:
                raise EOFError
            view = view[count:]
    return data


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
