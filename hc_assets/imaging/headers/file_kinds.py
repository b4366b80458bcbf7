"""What a file that is not DICOM looks like, so that its reason helps a person.

Belongs here: guesses from the first bytes, for messages only. Whether a file is DICOM is decided in
`reading.py`.
"""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"BM", "a BMP image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive: unpack it first"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"\x5c\x01\x00\x00", "a NIfTI image"),
    (b"PAR1", "a Parquet file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
_TEXT_SHARE = 0.95
_TEXT_BYTES = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D} | frozenset(range(0xA0, 0x100))


def describe_bytes(head: bytes) -> str:
    """Report what the first bytes of a file look like.

    Args:
        head: at least some of the first bytes; 132 are enough.

    Returns:
        A noun phrase that quotes none of the bytes.
    """
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return f"it begins like {kind}"
    if not head.strip(b"\0"):
        return "it begins with zeros only and has no DICM prefix"
    if sum(byte in _TEXT_BYTES for byte in head) >= _TEXT_SHARE * len(head):
        start = head.lstrip()[:1]
        if start in (b"{", b"["):
            return "it looks like JSON"
        if start == b"<":
            return "it looks like XML or HTML"
        return "it looks like plain text"
    if len(head) < 132:
        return f"only {len(head)} bytes long, and no DICM prefix"
    return "no DICM prefix at byte 128, and no data element at the start"
