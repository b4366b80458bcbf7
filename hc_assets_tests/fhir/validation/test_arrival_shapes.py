"""Whatever a folder holds: files in = data + invalid + no data, each with a true reason.

Formats, encodings and containers are landed, split and judged for real, all in one batch, and given
to `validate` as well; few of them go through a whole ingest in `end_to_end/`.
"""

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hc_assets.fhir.bundles.workers import SplitWork, split_files
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.validation.files import validate_files
from hc_assets.fhir.verdicts.accounting import entries_accounted_for, entry_keys
from hc_assets.lake.discovery import discover
from hc_assets.lake.landing import BatchLimits, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets_tests.fhir.worker_runs import RAW, Run, rows

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "warning", "code": "suppressed"}],
}
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class Shape:
    """A file as it arrives, and what becomes of it.

    Attributes:
        suffix: of its name.
        content: of it.
        data: how many of its rows are valid resources or deletions.
        invalid: how many are invalid, each for the reason.
        not_data: how many are valid and no data, each for the reason.
        reason: part of the text of an issue of each row that is no data or invalid.
    """

    suffix: str
    content: bytes
    data: int = 0
    invalid: int = 0
    not_data: int = 0
    reason: str = ""


class Content:
    """Resources and files of them, of a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - tests
        self._count = 0

    def patient(self, **members: Any) -> dict[str, Any]:
        """A valid Patient, unless members make it invalid."""
        self._count += 1
        family = self.random.choice(["Müller", "O'Neil", "李", "Ng\u2028", "a\\b", 'q"'])
        id_ = f"p{self._count}"
        return {"resourceType": "Patient", "id": id_, "name": [{"family": family}]} | members

    def patients(self) -> list[dict[str, Any]]:
        """One to five Patients."""
        return [self.patient() for _ in range(self.random.randint(1, 5))]

    def bundle(self, type_: str, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
        """A Bundle."""
        return {"resourceType": "Bundle", "type": type_} | members | {"entry": list(entries)}

    def entries(self, *, base: str = "urn:uuid:", **members: Any) -> list[dict[str, Any]]:
        """Entries with a Patient each, and a fullUrl."""
        found = []
        for each in self.patients():
            tail = f"00000000-0000-4000-8000-{self._count:012}"
            if base != "urn:uuid:":
                tail = f"Patient/{each['id']}"
            found.append({"fullUrl": f"{base}{tail}", "resource": each} | members)
            self._count += 1
        return found


def text(value: Any, **options: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, **options).encode()


def lines(values: list[Any], end: str = "\n") -> bytes:
    return b"".join(text(each) + end.encode() for each in values)


def of_data(content: Content) -> dict[str, Shape]:
    """Shapes that hold resources, with what comes among them."""
    some = content.patients()
    long = content.patient(photo=[{"contentType": "image/png", "data": "AAAA" * 1_000_000}])
    searched = content.entries(base="https://fhir.example.org/R4/", search={"mode": "match"})
    outcome = {"resource": OUTCOME, "search": {"mode": "outcome"}}
    posted = content.entries(request={"method": "POST", "url": "Patient"})
    asked = [{"request": {"method": "GET", "url": f"Patient/{n}"}} for n in range(3)]
    done = [{"method": "DELETE", "url": "Patient/p0"}, {"method": "PUT", "url": "Patient/z"}]
    history = [
        {"fullUrl": "https://x.example/Patient/z", "resource": content.patient(id="z")},
        {"fullUrl": "https://x.example/Patient/p0"},
    ]
    past = [
        each | {"request": request, "response": {"status": "200"}}
        for each, request in zip(history, reversed(done), strict=True)
    ]
    inner = content.entries()
    held = [{"name": "return", "resource": each} for each in content.patients()]
    parts = [{"name": "x", "part": [{"name": "y", "resource": content.patient()}]}]
    both = content.patients()
    wrong = content.patient(gender="unheard of")
    report = "reports on a request"
    deletion = content.bundle("transaction", {"request": done[0]})
    return {
        "lines": Shape(".ndjson", lines(some), len(some)),
        "lines that end with CR and LF": Shape(".ndjson", lines(some, "\r\n"), len(some)),
        "blank lines": Shape(".ndjson", b"\n \n" + lines(some, "\n\n") + b"\t", len(some)),
        "the last line without end": Shape(".ndjson", lines(some)[:-1], len(some)),
        "a mark of byte order": Shape(".ndjson", b"\xef\xbb\xbf" + lines(some), len(some)),
        "lines of another name": Shape(".jsonl", lines([*some, *both]), len(some) + len(both)),
        "a resource": Shape(".json", text(some[0]), 1),
        "a resource, indented": Shape(".json", b"\n" + text(some[0], indent="\t") + b"\r\n", 1),
        "a resource of no name": Shape("", text(some[0]), 1),
        "a line of 4 MB": Shape(".ndjson", lines([content.patient(id="l"), long]), 2),
        "a collection": Shape(
            ".json", text(content.bundle("collection", *content.entries()[:1])), 1
        ),
        "a transaction": Shape(".json", text(content.bundle("transaction", *posted)), len(posted)),
        "a search": Shape(
            ".json",
            text(content.bundle("searchset", *searched, outcome, total=len(searched))),
            len(searched),
            not_data=1,
            reason=report,
        ),
        "requests": Shape(
            ".json",
            text(content.bundle("batch", *posted, *asked)),
            len(posted),
            not_data=3,
            reason="stores nothing",
        ),
        "a history": Shape(".json", text(content.bundle("history", *past)), 2),
        "Bundles in a Bundle": Shape(
            ".json",
            text(
                content.bundle(
                    "collection",
                    {
                        "fullUrl": "urn:uuid:00000000-0000-4000-8000-00000000000f",
                        "resource": content.bundle("collection", *inner),
                    },
                )
            ),
            len(inner),
        ),
        "Parameters": Shape(
            ".json", text({"resourceType": "Parameters", "parameter": held + parts}), len(held) + 1
        ),
        "deletions": Shape(".ndjson", lines([deletion, deletion]), 2),
        "lines with OperationOutcomes": Shape(
            ".ndjson", lines([OUTCOME, *some, OUTCOME]), len(some), not_data=2, reason=report
        ),
        "lines, one of which is wrong": Shape(
            ".ndjson", lines([*some, wrong]), len(some), invalid=1, reason="expected one of"
        ),
        "lines, one of which is no JSON": Shape(
            ".ndjson", lines(some) + b'{"resourceType":"Pat', len(some), invalid=1, reason="JSON"
        ),
    }


def of_no_data(content: Content) -> dict[str, Shape]:
    """Shapes of JSON that hold nothing to be kept."""
    listed = {"type": "Patient", "url": "https://x.example/1", "count": 1}
    manifest = {"transactionTime": "2026-01-01T00:00:00Z", "output": [listed], "error": []}
    log = {"exportId": "1", "timestamp": "2026", "eventId": "kickoff", "eventDetail": {}}
    return {
        "a manifest": Shape(".json", text(manifest), not_data=1, reason="manifest"),
        "a manifest, indented": Shape(
            ".json", text(manifest, indent=1), not_data=1, reason="manifest"
        ),
        "a manifest of no name": Shape("", text(manifest), not_data=1, reason="manifest"),
        "a log": Shape(".ndjson", lines([log, log]), not_data=2, reason="log"),
        "errors": Shape(".ndjson", lines([OUTCOME] * 3), not_data=3, reason="OperationOutcome"),
        "an answer": Shape(".json", text(OUTCOME), not_data=1, reason="OperationOutcome"),
        "a search without results": Shape(
            ".json",
            text({"resourceType": "Bundle", "type": "searchset", "total": 0}),
            not_data=1,
            reason="no entry",
        ),
        "Parameters without resources": Shape(
            ".json",
            text({"resourceType": "Parameters", "parameter": [{"name": "a", "valueString": "b"}]}),
            not_data=1,
            reason="no resource",
        ),
        "a deletion by query": Shape(
            ".json",
            text(
                content.bundle(
                    "transaction", {"request": {"method": "DELETE", "url": "Patient?name=x"}}
                )
            ),
            not_data=1,
            reason="DELETE",
        ),
    }


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ["a"]}), sink)
    return sink.getvalue()


def of_other_formats(content: Content) -> dict[str, Shape]:
    """Shapes that are no FHIR R4 as JSON, each a row with its reason."""
    some = [content.patient(), content.patient()]
    fhir_xml = f'{XML}<Patient xmlns="http://hl7.org/fhir"><id value="x"/></Patient>'
    cda = f'{XML}<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1"/></ClinicalDocument>'
    message = "MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5\rPID|1||5"
    r5 = {"resourceType": "Encounter", "id": "e", "status": "completed", "actualPeriod": {}}
    stu3 = content.patient(animal={"species": {"text": "dog"}})
    made = {
        "CR alone": (".ndjson", lines(some, "\r"), "CR alone"),
        "XML": (".xml", fhir_xml.encode(), "FHIR as XML"),
        "XML named JSON": (".json", fhir_xml.encode(), "FHIR as XML"),
        "C-CDA": (".xml", cda.encode(), "CDA"),
        "HL7 version 2": (".hl7", message.encode(), "HL7 version 2"),
        "CSV": (".csv", b"Id,BIRTHDATE,NAME\n1,1980,x\n", "CSV"),
        "HTML": (".json", b"<!DOCTYPE html><html><body>502</body></html>", "HTML"),
        "a PDF": (".pdf", b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        "Parquet": (".parquet", parquet(), "Parquet"),
        "Turtle": (".ttl", b"@prefix fhir: <http://hl7.org/fhir/> .\n", "Turtle"),
        "an array": (".json", text(some), "array"),
        "an array over lines": (".ndjson", text(some, indent=1), "array"),
        "a resource over lines": (".ndjson", text(some[0], indent=1), "indented"),
        "several documents": (".json", b"\n".join(text(e, indent=1) for e in some), "several"),
        "UTF-16": (".json", json.dumps(some[0]).encode("utf-16"), "UTF-16"),
        "UTF-16 without mark": (".json", json.dumps(some[0]).encode("utf-16-le"), "UTF-16"),
        "UTF-32": (".json", json.dumps(some[0]).encode("utf-32"), "UTF-32"),
        "Latin-1": (
            ".json",
            text(content.patient(name=[{"family": "Müller"}])).decode().encode("latin-1"),
            "UTF-8",
        ),
        "nothing": (".ndjson", b"", "empty"),
        "blanks": (".json", b" \r\n\t", "blank"),
        "null": (".json", b"null", "JSON object"),
        "a text": (".json", b'"x"', "JSON object"),
        "cut": (".json", text(some[0])[:-9], "JSON"),
        "R5": (".json", text(r5), "R5"),
        "STU3": (".json", text(stu3), "STU3"),
        "no type": (".json", b'{"id":"x"}', "resourceType"),
        "a type of nobody": (".json", b'{"resourceType":"Patients"}', "Patients"),
    }
    return {
        name: Shape(suffix, data, invalid=1, reason=reason)
        for name, (suffix, data, reason) in made.items()
    }


def zipped(name: str, data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"inside/{name}", data)
    return sink.getvalue()


def tarred(name: str, data: bytes, mode: str = "w") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def in_members(name: str, data: bytes) -> bytes:
    return b"".join(gzip.compress(data[at : at + 700]) for at in range(0, max(len(data), 1), 700))


CONTAINERS: dict[str, tuple[str, Callable[[str, bytes], bytes]]] = {
    ".gz": ("gzip", lambda name, data: gzip.compress(data)),
    ".members.gz": ("gzip of several members", in_members),
    ".zst": ("zstd", lambda name, data: pa.compress(data, "zstd", asbytes=True)),
    ".zip": ("ZIP", zipped),
    ".tar": ("tar", tarred),
    ".tgz": ("tar with gzip", lambda name, data: tarred(name, data, "w:gz")),
}


def packed(shape: Shape, container: str) -> Shape:
    data = CONTAINERS[container][1](f"f{shape.suffix}", shape.content)
    return Shape(
        f"{shape.suffix}{container}", data, shape.data, shape.invalid, shape.not_data, shape.reason
    )


def shapes(seed: int) -> dict[str, Shape]:
    """Every format plain, and some of them in each container."""
    content = Content(seed)
    plain = of_data(content) | of_no_data(content) | of_other_formats(content)
    found = dict(plain)
    for container, (name, _) in CONTAINERS.items():
        # Bytes of no format that is known are those of an archive to nobody
        fitting = [each for each in plain if plain[each].content.strip()]
        for each in content.random.sample(fitting, 6):
            found[f"{each} in {name}"] = packed(plain[each], container)
    patients = lines(content.patients() * 50)
    cut = gzip.compress(patients)[:-12]
    found["gzip, cut"] = Shape(".ndjson.gz", cut, whole_lines(cut), invalid=1, reason="damaged")
    twice = gzip.compress(gzip.compress(patients))
    found["gzip twice"] = Shape(".ndjson.gz", twice, invalid=1, reason="more than once")
    return found


def whole_lines(cut: bytes) -> int:
    """How many lines can be read of a gzip file that is cut."""
    return zlib.decompressobj(wbits=31).decompress(cut).count(b"\n")


@pytest.mark.parametrize("seed", range(2))
def test_each_file_is_data_or_invalid_or_no_data_and_says_why(seed: int, tmp_path: Path) -> None:
    made = shapes(seed)
    assert len(made) >= 60
    drop = tmp_path / "drop"
    for number, shape in enumerate(made.values()):
        folder = drop / f"{number:03}"
        folder.mkdir(parents=True)
        (folder / f"f{shape.suffix}").write_bytes(shape.content)
    layout = Layout.of(tmp_path / "data")
    landed = land(
        discover([drop], drop), layout, FHIR_FILES, limits=BatchLimits(1000, 10**9), now=NOW
    )
    (batch,) = landed.batches
    run = Run(layout, batch)
    manifest = read_manifest(layout, "fhir", batch)
    known = {file.sha256: file.source_file for file in manifest.files}
    same = dict(manifest.duplicates)
    work = SplitWork(str(layout.data_dir), batch, tuple(manifest.files), 0)
    raw = run.put(RAW, split_files(work))
    validated, quarantined, _ = run.judge(raw)
    assert entries_accounted_for(*map(entry_keys, (raw, validated, quarantined))).passed
    judged: dict[str, list[dict[str, Any]]] = {}
    for row in [*rows(validated), *rows(quarantined)]:
        judged.setdefault(row["source_file"], []).append(row)
    found = validate_files(discover([drop], drop), workers=1)
    refused = {each.file.removeprefix(f"{drop}/"): each.invalid() > 0 for each in found}
    faults = []
    for number, (name, shape) in enumerate(made.items()):
        prefix = f"{number:03}/"
        files = {file: file for file in judged if file.startswith(prefix)}
        # Bytes that came twice were landed once
        files |= {file: known[sha] for file, sha in same.items() if file.startswith(prefix)}
        of_file = [row for file in files.values() for row in judged[file]]
        by_class = [row.get("class", "data") for row in of_file]
        counts = [by_class.count(each) for each in ("data", "invalid", "not_data")]
        texts = [
            [issue["diagnostics"] for issue in row["issues"]] for row in of_file if "class" in row
        ]
        is_refused = {refused.get(file) for file in files}
        if (
            counts != [shape.data, shape.invalid, shape.not_data]
            or not all(any(shape.reason in each for each in of_row) for of_row in texts)
            or is_refused != {shape.invalid > 0}
        ):
            faults.append((name, counts, texts, is_refused))
    assert faults == []
