"""Small FHIR deliveries that meet every kind of row: new, updated, deleted, referring, invalid.

Belongs here: data for tests of faults.
"""

import json
from pathlib import Path
from typing import Any

Resource = dict[str, Any]


def patient(identity: str, family: str) -> Resource:
    """A patient."""
    return {
        "resourceType": "Patient",
        "id": identity,
        "name": [{"family": family}],
        "birthDate": "1970-01-02",
    }


def observation(identity: str, subject: str, value: str) -> Resource:
    """A body weight."""
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{subject}"},
        "valueString": value,
    }


def bundle(*requests: tuple[str, Resource]) -> Resource:
    """A transaction; of a deletion only the address is sent."""
    entries = []
    for method, resource in requests:
        address = f"{resource['resourceType']}/{resource['id']}"
        entry: Resource = {"request": {"method": method, "url": address}}
        if method != "DELETE":
            entry |= {"fullUrl": f"https://ehr.example/{address}", "resource": resource}
        entries.append(entry)
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def write_deliveries(folder: Path) -> tuple[Path, Path]:
    """Two deliveries, the second of which changes what the first brought."""
    first, second = folder / "first", folder / "second"
    first.mkdir(parents=True)
    second.mkdir()
    alice, bob, carol = (patient(n, n.title()) for n in ("alice", "bob", "carol"))
    _put(first / "people.json", bundle(("PUT", alice), ("PUT", bob), ("PUT", carol)))
    _put(first / "weights.json", bundle(("PUT", observation("w1", "alice", "70 kg"))))
    (first / "invalid.ndjson").write_text('{"resourceType": "Patient", "gender": "unheard"}\n{"x\n')
    _put(
        second / "changes.json",
        bundle(
            ("PUT", {**alice, "active": True}),
            ("DELETE", bob),
            ("PUT", observation("w2", "carol", "80 kg")),
        ),
    )
    lines = [json.dumps(observation(f"n{number}", "alice", "71 kg")) for number in range(20)]
    (second / "more.ndjson").write_text("\n".join(lines))
    (second / "broken.json").write_text('{"resourceType": "Bundle", "entry": [')
    return first, second


def _put(path: Path, resource: Resource) -> None:
    path.write_text(json.dumps(resource))
