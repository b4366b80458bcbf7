"""What conforms to the profiles of a deployment still does once it is enriched."""

import json

import pytest

from hc_assets.fhir.enrichment.judging import RULE
from hc_assets.fhir.validation import has_errors
from hc_assets.fhir.validation.profile_rules import profile_issues
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.worker_runs import ENRICHED, VALIDATED, Run, patient

URL = "https://example.org/StructureDefinition/closed"
NONE = {"max": "0"}
ONE = {"min": 1, "max": "1", "fixedUri": "https://example.org/them"}


def closed(**elements):
    """A profile of Patient that bounds elements below it."""
    paths = {"Patient": {}} | {
        f"Patient.{name.replace('_', '.')}": e for name, e in elements.items()
    }
    return {
        "resourceType": "StructureDefinition",
        "url": URL,
        "name": "Closed",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": path, "path": path} | each
                for path, each in ({"Patient": {}} | paths).items()
            ]
        },
    }


@pytest.mark.parametrize(
    ("elements", "kept"),
    [
        ({"extension": NONE}, {"meta"}),
        ({"meta_extension": NONE}, set()),
        ({"meta_source": ONE}, {"extension", "meta"}),
        ({"meta_lastUpdated": NONE, "extension": NONE}, set()),
        ({"name": {"max": "1"}}, {"extension", "meta"}),
    ],
    ids=["extension", "extension of meta", "source", "time", "nothing"],
)
@pytest.mark.parametrize("is_demanded", [False, True], ids=["named", "demanded"])
def test_what_a_profile_leaves_no_room_for_is_not_added(tmp_path, elements, kept, is_demanded):
    path = tmp_path / "closed.json"
    path.write_text(json.dumps(closed(**elements)))
    profiles = (str(path), *([f"Patient={URL}"] if is_demanded else []))
    meta = {} if is_demanded else {"profile": [URL]}
    meta |= {"source": "https://example.org/them"} if "meta_source" in elements else {}
    more = {"meta": meta} if meta else {}
    sent = patient(gender="other", birthDate="1970-01-01", **more)
    found = Run(Layout.of(tmp_path), profiles=profiles).all(a__json=json.dumps(sent).encode())
    assert len(found[VALIDATED]) == 1
    (row,) = found[ENRICHED]
    assert not has_errors(profile_issues(row["resource"], profiles))
    made = json.loads(row["resource"])
    assert {name for name in ("extension",) if name in made} == kept & {"extension"}
    assert ("extension" in made.get("meta", {})) == ("meta" in kept)
    is_less = kept != {"extension", "meta"}
    assert [issue["rule"] == RULE for issue in row["issues"]].count(True) == is_less
