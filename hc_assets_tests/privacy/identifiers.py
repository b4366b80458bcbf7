"""Identifiers of people who do not exist, in every form in which one could slip out.

Belongs here: what is planted and how it is searched for. Where it is planted is in
`planted_files.py`.
"""

import base64
import html
import json
from datetime import date
from urllib.parse import quote

# Rare strings, so that a hit is a leak and no coincidence.
FAMILY, GIVEN = "Quvzixbrandt", "Olmxpetha"
RECORD_NUMBER = "MRN-77319-0445Z"
IDENTITY = "zqpt88213kx"
ACCESSION = "ACC-55120-QZX"
PHONE = "+49-555-0188-7743"
STREET = "Xyloquent Lane 4711"
MAIL = "olmx.quvz@example.org"
UID_ROOT = "1.2.826.0.1.3680043.9.77001"
BIRTH = date(1931, 7, 19)
VISIT = date(2019, 11, 23)

_TEXTS = (FAMILY, GIVEN, RECORD_NUMBER, IDENTITY, ACCESSION, PHONE, STREET, MAIL, UID_ROOT)
_DATES = (
    *("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y"),
    *("%Y.%m.%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%G-W%V-%u"),
)


def forms(text: str) -> dict[bytes, str]:
    """Forms of an identifier that are searched for, with their names; all but Base64 lower case."""
    data = text.encode()
    escaped = "".join(f"\\u{ord(c):04x}" for c in text)
    found = {
        data.lower(): "plain",
        text[::-1].lower().encode(): "reversed",
        text.lower().encode("utf-16-le"): "UTF-16",
        data.hex().encode(): "hex",
        " ".join(f"{byte:02x}" for byte in data).encode(): "spaced hex",
        escaped.encode(): "JSON escapes",
        "".join(f"%{byte:02x}" for byte in data).encode(): "percent",
        quote(text, safe="").lower().encode(): "URL",
        html.escape(text).lower().encode(): "HTML",
        json.dumps(text)[1:-1].lower().encode(): "JSON",
    }
    for shift in range(3):
        # What stands before decides how the bits fall; the edges mix with the neighbours. All
        # letters between: eight digits are ten then. Fewer would be found in any long picture,
        # since four letters are one of 16 million, and a picture has half a million.
        packed = base64.b64encode(b"\0" * shift + data)
        inner = packed[-(-8 * shift // 6) : 8 * (shift + len(data)) // 6]
        found[inner] = "Base64"
        found[inner.replace(b"+", b"-").replace(b"/", b"_")] = "Base64"
    return found


def needles() -> dict[bytes, str]:
    """All forms of all identifiers: what to search for, and what a hit is."""
    found: dict[bytes, str] = {}
    for text in _TEXTS:
        found |= {form: f"{text} ({name})" for form, name in forms(text).items()}
    for day in (BIRTH, VISIT):
        for pattern in _DATES:
            text = day.strftime(pattern)
            found |= {form: f"{text} ({name})" for form, name in forms(text).items()}
        seconds = (day - date(1970, 1, 1)).days * 86_400
        found[f"{seconds}".encode()] = f"{day} (seconds since 1970)"
    return found


_NEEDLES = needles()


def leaks(data: bytes) -> set[str]:
    """Identifiers found in some bytes, each with its form."""
    lowered = data.lower()
    return {
        what for form, what in _NEEDLES.items() if form in (data if "Base64" in what else lowered)
    }
