"""Who is right where two of DCMTK, GDCM and pydicom say the same and we something else.

Belongs here: one entry for each class of disagreement, with who is right and why ("both" where the
standard leaves it open), and the counting: docs/dicom-readers.md. What counts as a disagreement is
in `compare.py`.
"""

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.oracles.dicom.compare import Difference

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "dicom-readers.md"
WRONG = frozenset({"value", "missing", "extra", "column", "VR", "other frame"})
"""Disagreements about what is read; the others are about whether."""


class Class(NamedTuple):
    """A class of disagreements; the first that fits counts.

    Attributes:
        what: kinds of difference, as a regular expression.
        words: our warning or reason, as one.
        theirs: a judge's words, as one.
        source: the file's name, as one.
        right: who is: ours, theirs or both.
        why: in a sentence.
    """

    what: str
    words: str
    theirs: str
    source: str
    right: str
    why: str


_WHOLE = "Whatever is whole before the damage, or beside it, is read; the judges give up the file."

CLASSES = (
    Class(
        *("other frame", "", "", "expb"),
        "ours",
        "Cells of 32 bits in big endian: DCMTK and GDCM swap words of 16 bits. Ours, as pydicom's,"
        " is the picture of the little-endian original.",
    ),
    Class(
        *("other frame", "by its own words", "", ""),
        "ours",
        "A JPEG in YCbCr by its JFIF marker with a header that says RGB: DCMTK and GDCM leave the"
        " colors as they are encoded. Noted on the frame.",
    ),
    Class(
        *("value|column|VR|missing", "sent twice", "", ""),
        "both",
        "A tag that is sent twice, which PS3.5 7.1 forbids: DCMTK and GDCM keep the first element,"
        " ours and pydicom the last. Warned of.",
    ),
    Class(
        *("missing|value|extra|VR", "truncated: the file ends within an element", "", ""),
        "both",
        "Of a sequence that is cut off the judges keep the items before the cut; ours leaves the"
        " sequence out: no value is better than a piece of one. Warned of.",
    ),
    Class(
        *("missing|value|extra|VR", "damaged after its first elements", "", ""),
        "both",
        "Where items and delimiters contradict one another each reader goes on elsewhere; ours"
        " stops. Warned of.",
    ),
    Class(
        *("missing|value|extra|VR", "against its transfer syntax", "", ""),
        "ours",
        "The bytes contradict the transfer syntax: the judges read on by that, and find elements"
        " that are none. Warned of.",
    ),
    Class(
        *("missing|value|extra|VR|column", "VR .*does not exist", "", ""),
        "ours",
        "A VR that does not exist: ours reads on by DCMTK's rule and keeps the bytes as UN. Warned"
        " of.",
    ),
    Class(
        *("missing|value|extra|VR", "is longer than its sequence|delimiter where none", "", ""),
        "both",
        "Items and delimiters contradict one another; the judges stop where ours reads on. Warned"
        " of.",
    ),
    Class(
        *("missing|value|extra|VR", "element of another group", "", ""),
        "ours",
        "An element of another group among the file meta information: two judges take it for the"
        " dataset's. Warned of.",
    ),
    Class(
        *("value", "is N bytes of", "", ""),
        "both",
        "A value whose length does not fit its VR: the judges drop the last bytes, ours keeps them"
        " all. Warned of.",
    ),
    Class(
        *("value", "values, one is allowed", "", ""),
        "both",
        "White space within a UID. Warned of.",
    ),
    Class(
        *("column", "is no count", "", ""),
        "ours",
        "A NumberOfFrames below 1 is no count: one frame is assumed. Warned of.",
    ),
    Class(
        *("unreadable", "file meta information|an item where an element", "", ""),
        "both",
        "Damage among the first elements, behind which each reader goes on elsewhere, if at all.",
    ),
    Class(
        *("readable", "", "", ""),
        "ours",
        "All three refuse the file; ours reads what comes before the damage, or the dataset by its"
        " bytes where the file meta information is damaged.",
    ),
    Class(
        *("refused frame", "do not go with|is N, not N|only N and N are|N bytes of", "", ""),
        "both",
        "Figures that contradict one another or can't be (samples of a photometric interpretation,"
        " bits stored above those allocated) are refused, not guessed.",
    ),
    Class(
        *("refused frame", "the header says N (by N|allocated|stored)", "", ""),
        "ours",
        "The codestream contradicts the header, which is refused with both figures.",
    ),
    Class(
        *("refused frame", "components, the header|signed values|without a sign", "", ""),
        "ours",
        "The codestream contradicts the header, which is refused with both figures.",
    ),
    Class(
        *("refused frame", "without PhotometricInterpretation", "", ""),
        "both",
        "Colors of a JPEG that no header names are refused; DCMTK and GDCM leave them as encoded.",
    ),
    Class(
        *("refused frame", "there is no such frame", "", ""),
        "both",
        "Frames behind the first of a file that is refused for its figures: one reason for all.",
    ),
    Class(
        *(
            "refused frame",
            "no decoder can|not known which|truncated|hold no|hold N|too few for",
            "",
            "",
        ),
        "both",
        "A fragment is damaged: DCMTK joins or fills what there is, ours refuses the frame.",
    ),
    Class(
        *("missing|value|extra|VR|column|other frame", ".", "", ""),
        "both",
        "Other damage that each reader gets over in its own way. Warned of, or noted on the frame.",
    ),
    Class(
        *("more frames", "", "", r"^liver.*rle"),
        "ours",
        "Run lengths of single bits (PS3.5 Annex G): none of the judges has them.",
    ),
    Class(
        *("more frames", "", "value of '…'Transfer Syntax UID|of 'N.N", ""),
        "ours",
        "A transfer syntax that the judges have no decoder for.",
    ),
    Class(
        *("more frames", "no TransferSyntaxUID", "", ""),
        "ours",
        "Without TransferSyntaxUID the encoding is found from the bytes. Warned of.",
    ),
    Class(
        *("more frames", "against its transfer syntax", "", ""),
        "ours",
        "The bytes contradict the transfer syntax, and are read as they are. Warned of.",
    ),
    Class(
        *("more frames", "VR .*does not exist", "", ""),
        "ours",
        "A VR that does not exist: read on by DCMTK's rule. Warned of.",
    ),
    Class(
        *("more frames", "is missing: .* is assumed|not subsampled|have no sign", "", ""),
        "both",
        "What a header leaves out or contradicts is assumed as viewers do. Noted on the frame.",
    ),
    Class(
        *("more frames", "HighBit|no end marker|can't decode the frame|by its own", "", ""),
        "both",
        "A codestream or figure is odd, and one decoder reads it all the same. Noted on the frame.",
    ),
    Class(
        *("more frames", ".", "", ""),
        "ours",
        "Damage elsewhere in the header, which is warned of: the pixels are not touched by it.",
    ),
    Class(
        *("more frames", "", "Unknown TAG", ""),
        "ours",
        "PhotometricInterpretation in small letters, or with spaces.",
    ),
    Class(
        *("more frames", "", "Invalid compressed image data|trailing data", ""),
        "both",
        "A JPEG-LS codestream with bytes that are others, or of less than 8 bits: DCMTK and GDCM"
        " refuse it, pydicom reads the same as ours.",
    ),
    Class(
        *("more frames", "", "third larger", ""), "both", "Pixels of which YBR_FULL_422 is said."
    ),
    Class(*("more frames", "", "", ""), "ours", _WHOLE),
)


def class_of(source: str, difference: Difference) -> Class | None:
    """The class of a difference; None of one that nobody has explained."""
    for each in CLASSES:
        if (
            re.fullmatch(each.what, difference.what)
            and re.search(each.words, difference.words)
            and re.search(each.theirs, difference.theirs)
            and re.search(each.source, source)
        ):
            return each
    return None


def is_silent_and_wrong(source: str, difference: Difference) -> bool:
    """Whether we say, without a warning, something else than two judges, and are not right."""
    found = class_of(source, difference)
    is_ours = found is not None and found.right == "ours"
    return difference.what in WRONG and not difference.words and not is_ours


def document(lines: list[dict[str, Any]]) -> tuple[str, bool]:
    """The comparison as Markdown, and whether all of it is explained and nothing silently wrong."""
    damaged = [line for line in lines if line["kind"] != "unchanged"]
    files_of: dict[Class | None, set[str]] = defaultdict(set)
    unexplained, silent = [], []
    for line in lines:
        name = f"{line['source']} {line.get('number', '')}"
        for each in map(Difference._make, line["differences"]):
            found = class_of(line["source"], each)
            files_of[found].add(name)
            if found is None:
                unexplained.append(f"{each.what}: {each.words}")
            if is_silent_and_wrong(line["source"], each):
                silent.append(name)
    kinds = Counter(line["kind"] for line in damaged)
    equal = Counter(line["kind"] for line in damaged if not line["differences"])
    same = sum(not line["differences"] for line in lines if line["kind"] == "unchanged")
    rows = [
        f"| {len(files_of[each])} | {each.what.replace('|', ', ')} | {each.right} | {each.why} |"
        for each in sorted(CLASSES, key=lambda each: -len(files_of[each]))
        if files_of[each]
    ]
    text = "\n".join(
        [
            "# Our DICOM reader beside DCMTK, GDCM and pydicom",
            "",
            "Generated by `make judge-dicom` (benchmarks/oracles/dicom). Compared are whether a",
            "file is read, every element of the dataset with its VR, sequences included, every",
            "column of the index, and the stored values of every frame before rescale. What counts",
            "is where two of the three say the same and ours something else.",
            "",
            f"- Files as they are, all frames: {len(lines) - len(damaged)}, of which {same} without"
            " a difference",
            f"- Damaged files: {len(damaged)}, of which {sum(equal.values())} without a difference",
            f"- Wrong and without a warning: {len(set(silent))}",
            f"- Not explained: {len(unexplained)}",
            "",
            "| damage | files | without a difference |",
            "| --- | --- | --- |",
            *(f"| {kind} | {count} | {equal[kind]} |" for kind, count in sorted(kinds.items())),
            "",
            "Each class of disagreement; where several fit, a difference counts in the first of",
            "`benchmarks/oracles/dicom/disagreements.py`:",
            "",
            "| files | difference | right | why |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )
    for words, count in Counter(unexplained).most_common():
        print(f"not explained, {count}: {words}", file=sys.stderr)
    for name in sorted(set(silent)):
        print(f"wrong without a warning: {name}", file=sys.stderr)
    return text, not (unexplained or silent)


def score(paths: list[Path], out: Path = DOCUMENT) -> int:
    """Write the document of kept comparisons; 1 where something is not explained or silent."""
    lines: dict[str, dict[str, Any]] = {}
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for place, text in enumerate(file):
                line = json.loads(text)
                # The last comparison of a file counts
                name = line.get("number", f"{path} {place}")
                lines[f"{name} {line['kind']}"] = line
    text, is_well = document(list(lines.values()))
    out.write_text(text, encoding="utf-8")
    print(text)
    return int(not is_well)
