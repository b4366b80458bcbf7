import json

import dagster as dg
import pytest

from hc_assets.definitions import build_defs
from hc_assets.imaging.training.plan import Plan
from hc_assets.imaging.training.selection import Selection
from hc_assets.settings import Settings
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


def study(number: int, uid: str, **more: object) -> dict:
    identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}
    elements = {"status": "available", "identifier": [identifier], **more}
    return about("p1", "ImagingStudy", number, **elements)


def report(number: int, *tokens: str, **more: object) -> dict:
    elements = {"status": "final", "code": {"text": "x"}, **more}
    if tokens:
        elements["conclusionCode"] = [concept(token) for token in tokens]
    return about("p1", "DiagnosticReport", number, **elements)


def finding(number: int, token: str, **more: object) -> dict:
    elements = {"status": "final", "code": {"text": "x"}, **more}
    return about("p1", "Observation", number, valueCodeableConcept=concept(token), **elements)


def to(*targets: str) -> list[dict]:
    return [{"reference": target} for target in targets]


def by_uid(uid: str) -> dict:
    return {"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}}


EVIDENT = condition("p1", 9, FRACTURE) | {"evidence": [{"detail": to("Observation/Observation3")}]}
REFUTED = condition("p1", 8, FRACTURE, "refuted") | {
    "evidence": [{"detail": to("ImagingStudy/ImagingStudy6")}]
}
OF_STUDIES = [
    patient("p1", "A1"),
    *(study(n, f"1.2.{n}") for n in range(1, 8)),
    # What was suspected was not found
    study(8, "1.2.8", reasonCode=[concept(PNEUMONIA)]),
    study(9, "1.2.9", status="entered-in-error"),
    report(1, PNEUMONIA, imagingStudy=to("ImagingStudy/ImagingStudy1")),
    report(2, imagingStudy=to("ImagingStudy/ImagingStudy2"), result=to("Observation/Observation1")),
    finding(1, PNEUMONIA),
    finding(3, PNEUMONIA, partOf=to("ImagingStudy/ImagingStudy3")),
    EVIDENT,
    report(4, imagingStudy=to("ImagingStudy/ImagingStudy4")),
    report(5, PNEUMONIA, status="registered", imagingStudy=to("ImagingStudy/ImagingStudy5")),
    REFUTED,
    condition("p1", 7, PNEUMONIA),  # of the patient, but of no study
    report(9, PNEUMONIA, imagingStudy=to("ImagingStudy/ImagingStudy9")),
    # No ImagingStudy of FHIR, or one named by its UID
    report(10, FRACTURE, imagingStudy=[by_uid("1.2.10"), by_uid("1.2.7")]),
]


def test_studies_have_the_labels_of_what_speaks_of_them(hc_assets, data_dir, tmp_path):
    path = tmp_path / "resources.ndjson"
    path.write_text("".join(json.dumps(resource) + "\n" for resource in OF_STUDIES))
    assert hc_assets("ingest", path).exit_code == 0
    lake = Lake(data_dir)
    # All of one patient, who would have every label
    lake.put("b", *(Scan("A1", n, study=f"1.2.{n}") for n in range(1, 11)))
    codes = {"pneumonia": [PNEUMONIA], "fracture": [FRACTURE]}
    selection = Selection(salt="s", label_codes=codes, label_scope="study")
    with lake.reader() as connection:
        plan = Plan(connection, selection, ["b"])
        rows = plan.of_batch("b").to_pylist()
        found = {int(row["source_file"].removesuffix(".dcm")) + 1: row["labels"] for row in rows}
        assert found == {
            1: ["pneumonia"],
            2: ["pneumonia"],
            3: ["fracture", "pneumonia"],
            4: [],
            7: ["fracture"],
            10: ["fracture"],
        }
        assert plan.left_out() == {"no label": 4}
    assert selection.described()["label_scope"] == "study"


@pytest.mark.parametrize("scope", ["patient", "study"])
def test_without_any_fhir_nothing_has_a_label(lake, connected, asked, scan, scope):
    lake.put("b", scan("A1", 1))
    choices = asked(label_codes={"pneumonia": [PNEUMONIA]}, label_scope=scope)
    plan = Plan(connected(), choices, ["b"])
    assert plan.of_batch("b").num_rows == 0
    assert plan.left_out() == {"no label": 1}


def test_the_set_depends_on_fhir_where_its_labels_come_from_there(data_dir):
    key = dg.AssetKey(["imaging", "training_set"])
    resources = dg.AssetKey(["fhir", "current_resources"])
    for codes in ({}, {"pneumonia": (PNEUMONIA,)}):
        graph = build_defs(Settings(training_label_codes=codes)).resolve_asset_graph()
        node = graph.get(key)
        assert (resources in node.parent_keys) == bool(codes)
        assert len(node.parent_keys) == 3 + bool(codes)
        columns = node.metadata["dagster/column_lineage"].deps_by_column["labels"]
        assert (dg.TableColumnDep(resources, "resource") in columns) == bool(codes)


def test_ingest_of_dicom_alone_makes_a_set_though_labels_are_to_come_from_fhir(
    hc_assets, query, testdata, monkeypatch
):
    monkeypatch.setenv("HC_IMAGING_STUDIES_TO_FHIR", "false")
    monkeypatch.setenv("HC_TRAINING_LABEL_CODES", json.dumps({"pneumonia": [PNEUMONIA]}))
    assert hc_assets("ingest", testdata("CT_small.dcm")).exit_code == 0
    assert query("SELECT count(*) FROM imaging.training_set") == [(0,)]
