import json

from hc_assets.imaging.training.plan import Plan
from hc_assets.imaging.training.selection import Selection
from hc_assets_tests.imaging.training.conftest import Lake, Scan

SNOMED = "http://snomed.info/sct"
VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
PNEUMONIA, FRACTURE = f"{SNOMED}|233604007", f"{SNOMED}|125605004"


def concept(token: str) -> dict:
    system, _, code = token.rpartition("|")
    return {"coding": [{"system": system, "code": code}]}


def patient(id_: str, *identifiers: str) -> dict:
    return {
        "resourceType": "Patient",
        "id": id_,
        "identifier": [{"system": f"urn:{i[0]}", "value": i} for i in identifiers],
    }


def about(id_: str, type_: str, number: int, **more: object) -> dict:
    subject = {"reference": f"Patient/{id_}"}
    return {"resourceType": type_, "id": f"{type_}{number}", "subject": subject, **more}


def condition(id_: str, number: int, token: str, verified: str = "confirmed") -> dict:
    status = {"coding": [{"system": VERIFIED, "code": verified}]}
    return about(id_, "Condition", number, verificationStatus=status, code=concept(token))


RESOURCES = [
    patient("p1", "A1"),
    condition("p1", 1, PNEUMONIA),
    condition("p1", 2, FRACTURE, "refuted"),
    patient("p2", "A2", "B9"),
    about(
        "p2",
        "DiagnosticReport",
        1,
        status="final",
        code={"text": "x"},
        conclusionCode=[concept(FRACTURE), concept(PNEUMONIA)],
    ),
    patient("p3", "A3"),
    about("p3", "Observation", 1, status="final", code=concept(PNEUMONIA), valueString="no"),
    about("p3", "Procedure", 1, status="not-done", code=concept(FRACTURE)),
    patient("p4", "B1"),
    patient("p5", "A5", "B9"),  # a name that p2 has too
    about(
        "p5",
        "Observation",
        2,
        status="final",
        code={"text": "x"},
        valueCodeableConcept=concept(f"urn:other|{PNEUMONIA.rpartition('|')[2]}"),
    ),
]


KNOWN = {"A1": ["pneumonia"], "A2": ["fracture", "pneumonia"], "A3": []}
EXPECTED = {"": {**KNOWN, "B1": [], "A5": []}, "urn:A": {**KNOWN, "A5": []}}


def test_patients_have_the_labels_that_their_resources_are_coded_with(
    hc_assets, data_dir, tmp_path
):
    path = tmp_path / "resources.ndjson"
    path.write_text("".join(json.dumps(resource) + "\n" for resource in RESOURCES))
    assert hc_assets("ingest", path).exit_code == 0
    lake = Lake(data_dir)
    names = ["A1", "A2", "A3", "B1", "A5", "B9", "unknown"]
    lake.put("b", *(Scan(name, n) for n, name in enumerate(names)))
    for system, expected in EXPECTED.items():
        selection = Selection(
            salt="s",
            label_codes={"pneumonia": [PNEUMONIA], "fracture": [FRACTURE, "unheard-of"]},
            patient_system=system,
        )
        with lake.reader() as connection:
            plan = Plan(connection, selection, ["b"])
            found = {
                names[int(row["source_file"].removesuffix(".dcm"))]: row["labels"]
                for row in plan.of_batch("b").to_pylist()
            }
            assert found == expected
            assert plan.left_out() == {"no label": len(names) - len(expected)}
