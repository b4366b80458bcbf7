"""Our validator beside HL7's engine, resource by resource: docs/validator-score.md.

`python -m benchmarks.oracles.hl7.compare judge --out FILE` has both judge resources and keeps the
verdicts, `… score FILE` counts them. Belongs here: which differences don't count, and the counting.
Who is right in each class of disagreement stands in `disagreements.py`.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.oracles.hl7.client import Judge, Verdict, start
from benchmarks.oracles.hl7.corpus import (
    Source,
    bundle_entries,
    ndjson_lines,
    official_examples,
    subjects,
)
from benchmarks.oracles.hl7.disagreements import OURS, THEIRS
from hc_assets.fhir.validation import validate

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data" / "fhir"
DOCUMENT = ROOT / "docs" / "validator-score.md"
HEADING = "## Beside HL7's engine in Java"

# What decides nothing between the two: codes of systems that only a terminology server knows,
# narrative, profiles whose snapshot the engine can't generate, and what it has no answer to.
_ASIDE = frozenset(
    {
        "Terminology_PassThrough_TX_Message",
        "CONCEPTMAP_GROUP_SOURCE_CODE_INVALID",
        "CONCEPTMAP_GROUP_TARGET_CODE_INVALID",
        "ERROR_GENERATING_SNAPSHOT",
        "UnsupportedOperationException",
        "http://hl7.org/fhir/StructureDefinition/Narrative#txt-1",
        "http://hl7.org/fhir/StructureDefinition/Narrative#txt-2",
    }
)
_ASIDE_BEGIN = ("Type_Specific_Checks_DT_XHTML", "XHTML_", "Error parsing XHTML")
_OURS_ASIDE = frozenset({"txt-1", "txt-2"})
# The engine knows no language without a terminology server.
_LANGUAGES = "http://hl7.org/fhir/ValueSet/all-languages"


class Line(NamedTuple):
    """What both say of one resource.

    Attributes:
        name: the resource.
        kind: its mutation.
        theirs: message ids of the engine's errors; the message's begin where there is no id.
        ours: the rules of our errors.
    """

    name: str
    kind: str
    theirs: tuple[str, ...]
    ours: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether both find it valid, or both don't."""
        return bool(self.theirs) == bool(self.ours)


def counts(message_id: str) -> bool:
    """Whether an error of the engine's is a verdict on what both can know."""
    return message_id not in _ASIDE and not message_id.startswith(_ASIDE_BEGIN)


def message_ids(verdict: Verdict) -> tuple[str, ...]:
    """What the engine finds wrong, without what doesn't count."""
    found = (each.message_id or each.message[:40] for each in verdict.errors)
    return tuple(one for one in found if counts(one))


def rules(text: bytes) -> tuple[str, ...]:
    """What our validator finds wrong, without what doesn't count."""
    errors = (issue for issue in validate(text) if issue.severity in ("fatal", "error"))
    return tuple(
        issue.rule
        for issue in errors
        if issue.rule not in _OURS_ASIDE and _LANGUAGES not in issue.diagnostics
    )


def sources() -> list[Source]:
    """The official examples (HC_R4_PACKAGE), Synthea's bundles and a bulk export."""
    package = Path(os.environ["HC_R4_PACKAGE"])
    return [
        *official_examples(package),
        *bundle_entries(DATA / "synthea_bundles"),
        *ndjson_lines(DATA / "bulk_10_patients"),
    ]


def judge_all(judge: Judge, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Have the engine judge resources; yields each with the engine's errors."""
    agreed: dict[str, bool] = {}

    def is_agreed(source: Source) -> bool:
        if source.name not in agreed:
            theirs = message_ids(judge.judge(source.text))
            agreed[source.name] = bool(theirs) == bool(rules(source.text))
        return agreed[source.name]

    for subject in subjects(sources(), count, seed, is_agreed):
        verdict = judge.judge(subject.text)
        yield {
            "name": subject.name,
            "kind": subject.kind,
            # Bytes that are no UTF-8 reach the engine replaced, and so they are kept.
            "text": subject.text.decode("utf-8", "replace"),
            "errors": message_ids(verdict),
            "first": [*verdict.errors[0]] if verdict.errors else [],
            "seconds": verdict.seconds,
        }


def lines_of(path: Path) -> Iterator[Line]:
    """The kept verdicts of the engine, and ours of now."""
    with path.open(encoding="utf-8") as file:
        for text in file:
            kept = json.loads(text)
            ours = rules(kept["text"].encode())
            theirs = tuple(one for one in kept["errors"] if counts(one))
            yield Line(kept["name"], kept["kind"], theirs, ours)


def _class_of(line: Line) -> tuple[str, str]:
    """Which side is the stricter, and its first reason that is explained, else its first."""
    side, found = ("HL7's", line.theirs) if line.theirs else ("ours", line.ours)
    known = THEIRS if line.theirs else OURS
    return side, next((one for one in found if one in known), found[0])


def section(lines: list[Line]) -> str:
    """The comparison as Markdown."""
    agreeing = sum(line.agrees for line in lines)
    accepted = [line for line in lines if not line.theirs]
    also = sum(not line.ours for line in accepted)
    mutated = [line for line in lines if line.kind != "unchanged"]
    classes = Counter(_class_of(line) for line in lines if not line.agrees)
    by_text = sum(
        number
        for (side, reason), number in classes.items()
        if side == "ours" and OURS.get(reason, ("?", ""))[0] == "ours"
    )
    rows = []
    for (side, reason), count in classes.most_common():
        right, why = (THEIRS if side == "HL7's" else OURS).get(reason, ("?", "not explained yet"))
        rows.append(f"| {count} | {side} | `{reason}` | {right} | {why} |")
    return "\n".join(
        [
            HEADING,
            "",
            "Generated by `make judge` (benchmarks/oracles/hl7): the engine of HAPI 8.8.1 without",
            "a terminology server. Left out are its verdicts on codes of foreign systems, those of",
            "both on narrative, ours on languages, and profiles, which it can't expand offline.",
            "",
            f"- Resources: {len(lines)}, of which {len(mutated)} have one accident each",
            f"- Verdicts that agree: {agreeing} ({agreeing / len(lines):.2%})",
            f"- What the engine accepts, accepted: {also} of {len(accepted)}"
            f" ({also / len(accepted):.2%})",
            f"- Of the {len(accepted) - also} others ours rejects {by_text} by a rule of R4's text"
            " that the engine doesn't hold to (below)",
            "",
            "Each class of disagreement:",
            "",
            "| number | the stricter one | its reason | right by R4's text | why |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def write_section(text: str, document: Path) -> None:
    """Put the section at the end of the document, in place of the last one."""
    head = document.read_text(encoding="utf-8").partition(HEADING)[0].rstrip()
    document.write_text(f"{head}\n\n{text}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    judging = commands.add_parser("judge", help="have the engine judge, and keep what it says")
    judging.add_argument("--count", type=int, default=20_000)
    judging.add_argument("--seed", type=int, default=20261128)
    judging.add_argument("--out", type=Path, required=True)
    scoring = commands.add_parser("score", help="compare what was kept with our verdicts")
    scoring.add_argument("file", type=Path)
    scoring.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args()
    if options.command == "judge":
        with start() as judge, options.out.open("w", encoding="utf-8") as file:
            for number, kept in enumerate(judge_all(judge, options.count, options.seed), 1):
                file.write(json.dumps(kept) + "\n")
                if number % 1000 == 0:
                    print(f"{number} judged", file=sys.stderr, flush=True)
        return 0
    found = list(lines_of(options.file))
    text = section(found)
    write_section(text, options.document)
    print(text)
    return int("not explained yet" in text)


if __name__ == "__main__":
    sys.exit(main())
