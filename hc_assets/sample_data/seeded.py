"""Randomness and identifiers that follow from a seed and a name, and from nothing else.

Belongs here: named random streams, UUIDs and DICOM UIDs. What is drawn from them belongs to
whoever asks for a stream.
"""

import hashlib
import random
import uuid

import numpy as np

_UUID_ROOT = "2.25."  # DICOM PS3.5 B.2: a UID may be 2.25. followed by a UUID as an integer


def _digest(seed: int, names: tuple[str | int, ...]) -> bytes:
    return hashlib.sha256("/".join(map(str, (seed, *names))).encode()).digest()


def stream(seed: int, *names: str | int) -> random.Random:
    """Return the random stream of a name, so that one part's draws don't shift another's."""
    return random.Random(_digest(seed, names))  # noqa: S311 # made-up data, not secrets


def pixel_stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the NumPy stream of a name: the same bytes for the same NumPy version and machine."""
    return np.random.Generator(np.random.PCG64(int.from_bytes(_digest(seed, names), "big")))


def uuid_of(seed: int, *names: str | int) -> str:
    """Return the UUID of a name, with the version and variant bits of a random one."""
    return str(uuid.UUID(bytes=_digest(seed, names)[:16], version=4))


def uid_of(seed: int, *names: str | int) -> str:
    """Return the DICOM UID of a name: under 2.25, at most 44 characters."""
    return _UUID_ROOT + str(uuid.UUID(uuid_of(seed, *names)).int)
