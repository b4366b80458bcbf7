"""What `validate` refuses, `ingest` quarantines, entry by entry, and the other way round.

Bundles are damaged in every way that a sender could: members twice under any spelling and at any
depth, values of another JSON type, values exchanged, bytes cut off or in front.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.validation.files import Checked, validate_files
from hc_assets.lake.discovery import discover
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.worker_runs import Run, rows


class Members(list[tuple[str, Any]]):
    """A JSON object whose members may come twice, and be spelled in any way."""


def read(text: str) -> Any:
    return json.loads(text, object_pairs_hook=Members)


def written(value: Any) -> str:
    if isinstance(value, Members):
        return "{" + ",".join(f'"{name}":{written(each)}' for name, each in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


ORGANIZATION = '{"resourceType":"Organization","id":"o1","name":"x"}'
PATIENT = (
    '{"resourceType":"Patient","id":"p1","meta":{"lastUpdated":"2026-01-01T00:00:00Z"},'
    '"name":[{"family":"x","given":["y"]}],"gender":"male","birthDate":"1970-01-01"}'
)
OBSERVATION = (
    '{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},'
    '"subject":{"display":"x"},"valueQuantity":{"value":1.50,"unit":"mg"}}'
)


def entry(resource: str, *members: str) -> str:
    id_ = re.search(r'"resourceType":"(\w+)","id":"(\w+)"', resource)
    assert id_ is not None
    url = f'"fullUrl":"https://example.org/fhir/{id_[1]}/{id_[2]}"'
    return "{" + ",".join([url, f'"resource":{resource}', *members]) + "}"


def bundle(type_: str, *entries: str) -> str:
    return (
        f'{{"resourceType":"Bundle","id":"b","meta":{{"lastUpdated":"2026-01-01T00:00:00Z"}},'
        f'"type":"{type_}","timestamp":"2026-01-01T00:00:00Z",'
        f'"link":[{{"relation":"self","url":"https://example.org"}}],"entry":['
        + ",".join(entries)
        + "]}"
    )


POST = '"request":{"method":"POST","url":"Observation","ifNoneExist":"identifier=s|1"}'
PUT = '"request":{"method":"PUT","url":"Patient/p1","ifMatch":"1"}'
DELETE = '{"request":{"method":"DELETE","url":"Organization/o1"}}'
RESPONSE = '"response":{"status":"200","lastModified":"2026-01-01T00:00:00Z","etag":"1"}'
SEARCH = '"search":{"mode":"match","score":0.5}'
DOCUMENTS = [
    bundle("collection", *map(entry, [PATIENT, ORGANIZATION, OBSERVATION])),
    bundle("transaction", entry(PATIENT, PUT), entry(OBSERVATION, POST), DELETE),
    bundle("history", entry(PATIENT, PUT, RESPONSE), entry(OBSERVATION, POST, RESPONSE)),
    bundle("searchset", entry(PATIENT, SEARCH), entry(OBSERVATION, SEARCH)),
    PATIENT,
]


def objects_in(value: Any) -> Iterator[Members]:
    if isinstance(value, Members) and value:
        yield value
    for each in [v for _, v in value] if isinstance(value, Members) else value:
        if isinstance(each, list):
            yield from objects_in(each)


def respelled(name: str, chance: random.Random) -> str:
    return "".join(f"\\u{ord(c):04x}" if chance.random() < 0.3 else c for c in name)


def twice(document: Any, chance: random.Random) -> None:
    members = chance.choice(list(objects_in(document)))
    name, value = chance.choice(members)
    other = chance.choice([value, value, chance.choice(members)[1]])
    members.insert(chance.randrange(len(members) + 1), (respelled(name, chance), other))


def of_another_type(document: Any, chance: random.Random) -> None:
    members = chance.choice(list(objects_in(document)))
    at = chance.randrange(len(members))
    name, value = members[at]
    others = [None, 5, Members(), [], [value], [None], True]
    members[at] = (name, chance.choice(others if isinstance(value, str) else [*others, "x"]))


def exchanged(document: Any, chance: random.Random) -> None:
    members = chance.choice(list(objects_in(document)))
    one, other = (chance.randrange(len(members)) for _ in "12")
    (name, value), (other_name, other_value) = members[one], members[other]
    members[one], members[other] = (name, other_value), (other_name, value)


def damaged(seed: int) -> bytes:
    """A file that is damaged in one or two ways; the same one for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    document = read(chance.choice(DOCUMENTS))
    for _ in range(chance.choice([1, 1, 2])):
        chance.choice([twice, twice, of_another_type, exchanged])(document, chance)
    data = written(document).encode()
    how = chance.random()
    if how < 0.05:
        return data[: chance.randrange(len(data))]
    if how < 0.1:
        return b"\xef\xbb\xbf" + data
    if how < 0.15:
        at = chance.randrange(len(data))
        return data[:at] + chance.choice([b"\xff", b"\xef\xbb\xbf", b"\0", b"{", b'"']) + data[at:]
    return data


# What is ambiguous or no JSON of FHIR. Other rules on what is around a resource hold for the Bundle
# as a whole (its type, fullUrls, who may refer to whom); its entries are taken each on its own.
REFUSED_AROUND = {"duplicate-member", "json-type", "null-value"}
OF_THE_BUNDLE = {"bundle-reference", "bundle-search"}
IN_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")


def refused_by_validate(checked: Checked, count: int) -> tuple[set[int], set[int]]:
    """Positions of entries that must be refused, and of those that may."""
    must: set[int] = set()
    may: set[int] = set()
    for finding in checked.findings:
        for issue in finding.issues:
            if issue.severity not in ("fatal", "error"):
                continue
            inside = IN_ENTRY.match(issue.expression) if finding.position is None else None
            everywhere = finding.position is None and inside is None
            if finding.position is not None:
                places = {finding.position}
            else:
                places = {int(inside[1])} if inside else set(range(count))
            may |= places
            is_ambiguous = issue.rule == "duplicate-member"
            if everywhere or finding.resource_type == "Bundle":
                must |= places if is_ambiguous else set()
            if inside is not None:
                must |= places if issue.rule in REFUSED_AROUND else set()
            if finding.position is not None and issue.rule not in OF_THE_BUNDLE:
                must |= places
    return must, may


@pytest.mark.parametrize("seed", range(4))
def test_an_entry_is_refused_by_both_or_by_neither(seed: int, tmp_path: Path) -> None:
    files = {f"f{number}__json": damaged(1_000 * seed + number) for number in range(250)}
    folder = tmp_path / "files"
    folder.mkdir()
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    checked = {
        Path(each.file).name: each for each in validate_files(discover([folder], folder), workers=1)
    }
    run = Run(Layout.of(tmp_path))
    raw = run.split(*run.land(**files))
    _, quarantined, _ = run.judge(raw)
    ingested: dict[str, set[int]] = {name: set() for name in checked}
    refused: dict[str, set[int]] = {name: set() for name in checked}
    for row in rows(raw):
        ingested[row["source_file"]].add(row["position"])
    for row in rows(quarantined):
        refused[row["source_file"]].add(row["position"])
    number_refused = 0
    for name, by_ingest in refused.items():
        must, may = refused_by_validate(checked[name], len(ingested[name]))
        text = files[name.replace(".", "__")]
        assert must & ingested[name] <= by_ingest, text
        assert by_ingest <= may, text
        number_refused += len(by_ingest)
    assert 200 < number_refused < len(list(rows(raw))) - 50
