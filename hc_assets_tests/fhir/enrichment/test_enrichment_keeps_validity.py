"""What is valid is valid once it is enriched: HL7's own examples, mutated, in transactions.

The examples are those of the npm package `hl7.fhir.r4.examples`, a seeded sample of them where
tests are not asked to go through all.
"""

import json
import os
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hc_assets.core.fence import RULE as INTERNAL
from hc_assets.fhir.enrichment.judging import RULE
from hc_assets.fhir.validation import is_valid
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.worker_runs import ENRICHED, QUARANTINED, Run, entry

PACKAGE = Path(os.environ.get("HC_R4_PACKAGE", ""))
# Beyond this are a few code systems, which take long to validate again and again
_LARGEST = 300_000
_PER_BUNDLE = 40
_SHARE_READDRESSED = 0.4
_NO_ROWS = {"Bundle", "OperationOutcome"}  # of entries

pytestmark = pytest.mark.skipif(
    "HC_R4_PACKAGE" not in os.environ or not PACKAGE.is_dir(),
    reason="HC_R4_PACKAGE names no unpacked npm package hl7.fhir.r4.examples 4.0.1",
)


def examples(count: int | None, seed: int) -> list[dict[str, Any]]:
    """Valid ones, all where no count is asked for."""
    paths = sorted(path for path in PACKAGE.rglob("*.json") if path.name != "package.json")
    if count is not None:
        paths = random.Random(seed).sample(paths, count)  # noqa: S311 - a sample
    sent = [path.read_bytes() for path in paths if path.stat().st_size <= _LARGEST]
    found = [json.loads(each) for each in sent if is_valid(each)]
    return [each for each in found if each["resourceType"] not in _NO_ROWS]


def readdressed(value: Any, urls: list[str], chance: random.Random) -> Any:
    """Put fullUrls of the bundle in place of some addresses, whatever their element is."""
    if isinstance(value, dict):
        return {name: readdressed(each, urls, chance) for name, each in value.items()}
    if isinstance(value, list):
        return [readdressed(each, urls, chance) for each in value]
    is_address = isinstance(value, str) and value.startswith(("http://", "https://", "urn:"))
    if is_address and chance.random() < _SHARE_READDRESSED:
        return chance.choice(urls)
    return value


def mutated(resource: dict[str, Any], own: str, urls: list[str], chance: random.Random) -> Any:
    """A mutation that is valid; the resource itself where a few tries give none."""
    for _ in range(3):
        made = readdressed(resource, urls, chance)
        if "url" in made and isinstance(made["url"], str) and chance.random() < 0.5:
            made["url"] = own  # its canonical identity is the address of its entry
        if chance.random() < 0.3 and resource["resourceType"] == "Observation":
            reversed_ = {"low": {"value": 9, "unit": "%"}, "high": {"value": 1, "unit": "%"}}
            made["referenceRange"] = [reversed_]
        if is_valid(json.dumps(made).encode()):
            return made
    return resource


def transactions(resources: list[dict[str, Any]], seed: int) -> Iterator[bytes]:
    """Transactions that create resources, each addressed by a URN."""
    chance = random.Random(seed)  # noqa: S311 - for reproducible mutations
    for start in range(0, len(resources), _PER_BUNDLE):
        some = resources[start : start + _PER_BUNDLE]
        urls = [uuid.UUID(int=chance.getrandbits(128), version=4).urn for _ in some]
        entries = []
        for number, (resource, url) in enumerate(zip(some, urls, strict=True)):
            made = mutated(resource, url, urls, chance) if number % 4 else resource
            made = {name: each for name, each in made.items() if name != "id" or number % 3}
            request = {"method": "POST", "url": resource["resourceType"]}
            entries.append(entry(made, url, request=request))
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        yield json.dumps(bundle).encode()


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(160, id="some"),
        pytest.param(None, id="all", marks=pytest.mark.exhaustive),
    ],
)
def test_official_examples_mutated_in_transactions_stay_valid(tmp_path, count):
    sent = examples(count, seed=16)
    entries = 0
    left_out: Counter[str] = Counter()
    for number, file in enumerate(transactions(sent, seed=17)):
        found = Run(Layout.of(tmp_path / str(number))).all(a__json=file)
        # Examples that refer to each other's places may be no valid Bundle together
        whole = [row for row in found[QUARANTINED] if row["resource_type"] == "Bundle"]
        assert bool(whole) == (not is_valid(file))
        refused = [
            (row["resource_type"], issue["rule"], issue["diagnostics"])
            for row in found[QUARANTINED]
            if row not in whole
            for issue in row["issues"]
        ]
        assert not refused
        entries += len(found[ENRICHED])
        for row in found[ENRICHED]:
            assert is_valid(row["resource"]), row["resource_type"]
            issues = [issue for issue in row["issues"] if issue["rule"] in (RULE, INTERNAL)]
            left_out.update(issue["diagnostics"].rpartition(" ")[2] for issue in issues)
    assert entries >= 0.9 * len(sent)
    # Judging is the last line. What gets there is not for enrichment to see: a reference that leads
    # to another type than it may, or than it says
    assert left_out.keys() <= {"reference-target", "reference-type", "rng-2"}
