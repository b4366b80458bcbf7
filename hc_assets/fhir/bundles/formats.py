"""What a file is that holds no FHIR as JSON, by its first bytes.

Belongs here: naming formats. Files are read in `read.py` and `entry_columns.py`, which both ask
here first; archives are opened before that, in `lake/archives.py`.
"""

import csv
import re
from io import StringIO

import msgspec

HEAD_BYTES = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"

# Bytes at the very beginning. Those of UTF-32 come before those of UTF-16, which they begin with.
_MAGICS = (
    (b"\xff\xfe\0\0", "text in UTF-32"),
    (b"\0\0\xfe\xff", "text in UTF-32"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "packed with gzip more than once"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd more than once"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ\0", "packed with xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1\0\0", "an Arrow file"),
    (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office before 2007"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"GIF8", "a GIF image"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1e{", "a JSON text sequence"),
)
_OTHER_TEXT = "text in UTF"
_DICM, _DICM_AT = b"DICM", 128
_USTAR, _USTAR_AT = b"ustar", 257

_HL7_V2 = re.compile(rb"\x0b?(?:MSH|FHS|BHS)[^\w\s]")
_X12 = re.compile(rb"ISA[^\w\s]")
_TURTLE = re.compile(rb"@(?:prefix|base)\s|(?i:prefix)\s+\w*:\s*<")
_MULTIPART = re.compile(rb"--[\w'()+,./:=?-]{1,70}\r?\nContent-", re.IGNORECASE)
_HTTP = re.compile(rb"HTTP/\d(?:\.\d)? \d{3}")

_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_ROOT = re.compile(rb"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]")
_BEFORE_ROOT = re.compile(rb"\s*(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>)", re.DOTALL)
_FHIR_XML = re.compile(rb"xmlns(?::[\w.-]+)?\s*=\s*[\"']http://hl7\.org/fhir[\"']")
_HL7_V3 = re.compile(rb"xmlns(?::[\w.-]+)?\s*=\s*[\"']urn:hl7-org:v3[\"']")
_HL7_V2_XML = re.compile(rb"xmlns(?::[\w.-]+)?\s*=\s*[\"']urn:hl7-org:v2xml[\"']")

_SEPARATORS = {
    ",": "CSV",
    ";": "CSV with semicolons",
    "\t": "text in columns with tabs",
    "|": "text in columns with bars",
}
_COLUMN_NAME = re.compile(r"[^\W\d][\w .()/#%:-]*")
_LINES_LOOKED_AT = 20
_LINES_JOINED = 4


def other_format(head: bytes, *, in_lines: bool = False) -> str | None:
    """Say what a file is, where it is of a format that is known and is no FHIR as JSON.

    Args:
        head: its first bytes after gzip and zstd, `HEAD_BYTES` or all that there are.
        in_lines: whether its name says that it is NDJSON.

    Returns:
        A sentence that quotes nothing of the file; None where it may be FHIR as JSON, or where
        nobody knows what it is.
    """
    name = _binary(head) or _textual(head.removeprefix(_BYTE_ORDER_MARK).lstrip(_WHITE_SPACE))
    if name is not None:
        expected = ", expected UTF-8" if name.startswith(_OTHER_TEXT) else ""
        return f"not JSON: the file is {name}{expected}"
    return _json_of_another_shape(head, in_lines=in_lines)


def _binary(head: bytes) -> str | None:
    if head[_DICM_AT : _DICM_AT + len(_DICM)] == _DICM:
        return "a DICOM file"
    if head[_USTAR_AT : _USTAR_AT + len(_USTAR)] == _USTAR:
        return "a tar archive"
    found = next((name for magic, name in _MAGICS if head.startswith(magic)), None)
    if found is not None:
        return found
    if b"\0" not in head[:64]:
        return None
    # ASCII in UTF-16 has a zero in every second byte, in UTF-32 in three of four.
    start = head[:64]
    zeros = (start[0::2].count(0), start[1::2].count(0))
    if min(zeros) * 4 >= len(start) and len(start) >= 4:
        return "text in UTF-32 or binary data"
    if max(zeros) * 2 >= len(start) - 1 and min(zeros) == 0:
        return "text in UTF-16"
    return None if start.lstrip(_WHITE_SPACE)[:1] in (b"{", b"[") else "binary data"


def _textual(text: bytes) -> str | None:
    if text[:1] in (b"{", b"["):
        return None
    if text[:1] == b"<":
        return _markup(text)
    if _HL7_V2.match(text):
        return "an HL7 version 2 message"
    if _X12.match(text):
        return "an X12 interchange"
    if _TURTLE.match(text):
        return "RDF in Turtle"
    if _MULTIPART.match(text):
        return "a multipart message"
    if _HTTP.match(text):
        return "an HTTP response with its header"
    return _table(text)


def _markup(text: bytes) -> str | None:
    if _HTML.match(text):
        return "an HTML page, as servers send with an error"
    at = 0
    while before := _BEFORE_ROOT.match(text, at):
        at = before.end()
    root = _ROOT.match(text, at + len(text[at:]) - len(text[at:].lstrip()))
    if root is None:
        return "XML" if text.startswith(b"<?xml") else None
    opening = text[root.start() : text.find(b">", root.start()) + 1 or None]
    if root[1].lower() == b"html":
        return "an HTML page, as servers send with an error"
    if _FHIR_XML.search(opening):
        return "FHIR as XML"
    if root[1] == b"ClinicalDocument":
        return "a C-CDA or other CDA document (HL7 version 3, XML)"
    if _HL7_V3.search(opening):
        return "HL7 version 3 as XML"
    if _HL7_V2_XML.search(opening):
        return "an HL7 version 2 message as XML"
    return "XML"


def _table(text: bytes) -> str | None:
    """CSV and its like: a line of names, and lines of as many cells."""
    lines = text.decode("latin-1").splitlines()[:_LINES_LOOKED_AT]
    if len(text) >= HEAD_BYTES // 2 and len(lines) < _LINES_LOOKED_AT:
        lines = lines[:-1]  # it may be cut
    for separator, name in _SEPARATORS.items():
        try:
            rows = list(csv.reader(StringIO("\n".join(lines)), delimiter=separator, strict=True))
        except csv.Error:
            continue
        rows = [row for row in rows if row]
        if not rows or not all(_COLUMN_NAME.fullmatch(cell.strip()) for cell in rows[0]):
            continue
        width = len(rows[0])
        if width >= (2 if len(rows) > 1 else 3) and all(len(row) == width for row in rows):
            return name
    return None


def _json_of_another_shape(head: bytes, *, in_lines: bool) -> str | None:
    """JSON that is laid out in another way than the file's name says."""
    if not in_lines:
        return None  # a document is parsed as a whole, and its parser says what is wrong
    text = head.removeprefix(_BYTE_ORDER_MARK).lstrip(_WHITE_SPACE)
    if text[:1] not in (b"{", b"["):
        return None
    first, _, rest = text.partition(b"\n")
    if first.rstrip(_WHITE_SPACE)[-1:] in (b"}", b"]") and _parsed(first) == _COMPLETE:
        return None
    if not rest and b"}\r{" in first:
        return "the lines end with CR alone: those of NDJSON end with LF"
    lines = [line for line in text.split(b"\n")[:_LINES_JOINED] if line.strip(_WHITE_SPACE)]
    if len(lines) < 2 or _is_object(lines[1]):
        return None
    joined = [b"\n".join(lines[: count + 1]) for count in range(len(lines) - 1)]
    if any(_parsed(each) == _WRONG for each in joined):
        return None
    if text.startswith(b"["):
        return "the file is a JSON array over several lines: NDJSON has one resource a line"
    return (
        "the file is JSON over several lines (indented): NDJSON has one resource a line, and a"
        " single resource or Bundle is read from a file whose name ends with .json"
    )


def _is_object(line: bytes) -> bool:
    return line.lstrip(_WHITE_SPACE)[:1] == b"{" and _parsed(line) == _COMPLETE


_COMPLETE, _CUT, _WRONG = "complete", "cut", "wrong"


def _parsed(text: bytes) -> str:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _CUT if "truncated" in str(error) else _WRONG
    return _COMPLETE
