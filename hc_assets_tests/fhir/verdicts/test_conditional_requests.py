import json
from typing import Any

import msgspec
import pytest

CRITERIA = "identifier=urn:npi|1"


def doctor(id_: str | None, *, value: str = "1", name: str = "Ray") -> dict[str, Any]:
    made = {"resourceType": "Practitioner", "name": [{"family": name}]}
    made |= {"id": id_} if id_ else {}
    return made | {"identifier": [{"system": "urn:npi", "value": value}]}


def create(resource: dict[str, Any], criteria: str = CRITERIA) -> dict[str, Any]:
    request = {"method": "POST", "url": "Practitioner", "ifNoneExist": criteria}
    return {"resource": resource, "request": request}


def update(resource: dict[str, Any], criteria: str = CRITERIA) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PUT", "url": f"Practitioner?{criteria}"}}


@pytest.fixture
def verdict_of(hc_assets, tmp_path):
    """What the check says after some resources and then entries of a transaction have come in."""

    def ingested(resources: list[dict[str, Any]], entries: list[dict[str, Any]]) -> dict[str, Any]:
        lines = tmp_path / "known.ndjson"
        lines.write_text("".join(json.dumps(each) + "\n" for each in resources))
        bundle = tmp_path / "bundle.json"
        bundle.write_text(
            json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
        )
        assert hc_assets("ingest", *([lines] if resources else []), bundle).exit_code == 0
        report = msgspec.json.decode(hc_assets("report", "--format", "json").stdout)
        checks = {check["check"]: check for check in report["checks"]}
        return checks["conditional_requests_unambiguous"]

    return ingested


def test_a_request_that_matches_nothing_but_itself_passes(verdict_of, query):
    entries = [create(doctor(None)), update(doctor(None, name="Roe"))]
    assert verdict_of([], entries)["passed"] is True
    # The same criteria are the same resource: the create comes first, then the update.
    names = "SELECT version_id, is_current FROM fhir.resource_history ORDER BY version_id"
    assert query(names) == [(1, False), (2, True)]


def test_requests_that_match_resources_under_other_ids_are_counted_and_kept(verdict_of, query):
    known = [doctor("d1"), doctor("d2", value="2"), doctor("d3", value="2")]
    entries = [
        create(doctor(None)),
        update(doctor(None, value="2"), "identifier=2"),
        update(doctor("d4", value="4"), "name=x"),
    ]
    check = verdict_of(known, entries)
    assert (check["passed"], check["severity"], check["value"]) == (False, "WARN", 2.0)
    assert "of 3 conditional creates and updates 1 match a resource" in check["explanation"]
    assert "1 match several; 1 ask for more than an identifier" in check["explanation"]
    assert query("SELECT count(*) FROM fhir.current_resources") == [(6,)]
