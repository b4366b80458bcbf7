"""What a source is called: a server, a hospital, an archive that files come from.

Belongs here: names and bases of servers in one way of writing, and the folders that stand for them.
Which source a file is of is found when it is landed, in `lake/landing.py`; what else a domain knows
of sources is its own.
"""

import re
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, unquote, urlsplit

from hc_assets.core.errors import UsageError

FOLDER_PREFIX = "@"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SERVER = re.compile(r"https?://[^/?#\s\x00-\x20\x7f\"\\<>^`{|}]+(?:/[^?#\s]*)?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What may stand between the slashes of a path as it is; letters and digits besides.
_PLAIN = "-._~!$&'()*+,;=:@"
_ANY_BYTES = "surrogateescape"
# In a folder's name: a byte that is neither letter nor digit.
_ESCAPED = re.compile(r"~([0-9A-F]{2})")
_CACHED = 4_096


class SourceNameError(UsageError):
    """A text that names no source."""

    advice = (
        "a source is named by letters, digits and . _ - (at most 64), or by the base of a server,"
        " such as https://example.org/fhir"
    )


def named_source(text: str) -> str:
    """Return the source that a text names: the name as it is, or a server's base in one way.

    Raises:
        SourceNameError: it names none.
    """
    if _NAME.fullmatch(text):
        return text
    base = base_of(text)
    if base is None:
        raise SourceNameError("that is no name of a source")
    return base


@lru_cache(maxsize=_CACHED)
def base_of(url: str) -> str | None:
    """Write the base of a server in one way; None where it is not that of one.

    `http` and `https` are the same server, as are hosts in any case, with or without the port that
    the protocol has by itself, and with any number of slashes between and behind the parts of the
    path. Names and passwords before the host are left out. All else of the path counts, its case
    too.
    """
    if not _SERVER.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None  # no port, or no address of that version
    if not host:
        return None
    if ":" in host:
        host = f"[{host}]"
    host = host.rstrip(".")
    place = host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"
    segments: list[str] = []
    for segment in parts.path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            text = unquote(segment, errors=_ANY_BYTES)
            segments.append(quote(text, safe=_PLAIN, errors=_ANY_BYTES))
    return "/".join([f"https://{place}", *segments])


def is_base(source: str) -> bool:
    """Whether a source is the base of a server, and not a name."""
    return "://" in source


def folder_of(source: str) -> str:
    """Name of the folder that stands for a source in exports.

    `@` and the name; of a base, whose text came with somebody's data and is not for names of files,
    `@server-` and the first 32 digits of its SHA-256.
    """
    name = f"server-{sha256(source.encode()).hexdigest()[:32]}" if is_base(source) else source
    return f"{FOLDER_PREFIX}{name}"


def source_of_folder(folder: str) -> str:
    """Return the source that a landing folder stands for.

    A base of a server is written with `~` and a byte in hex for all that is neither letter nor
    digit: a folder's name has no slash.

    Args:
        folder: its name, which begins with `@`.

    Raises:
        SourceNameError: it names none.
    """
    text = folder.removeprefix(FOLDER_PREFIX)
    parts = _ESCAPED.split(text)
    encoded = b"".join(
        bytes.fromhex(part) if number % 2 else part.encode("utf-8", "backslashreplace")
        for number, part in enumerate(parts)
    )
    return named_source(encoded.decode("utf-8", "replace"))
