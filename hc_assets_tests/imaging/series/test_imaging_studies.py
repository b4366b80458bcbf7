import json
from pathlib import Path

import msgspec
import numpy as np
import pydicom
import pytest
from fhir.resources.R4B.imagingstudy import ImagingStudy

from hc_assets.fhir.validation import has_errors, validate
from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.rows import index_files
from hc_assets.imaging.schemas.index import DICOM_INDEX
from hc_assets.imaging.schemas.series import IMAGING_STUDIES
from hc_assets.imaging.series import study_resource
from hc_assets.imaging.series.imaging_studies import (
    HANDED_OVER,
    failed_row,
    hand_to_fhir,
    handed_over,
    resource_id,
    study_rows,
)
from hc_assets.imaging.series.instances import read_series
from hc_assets.imaging.series.refreshing import refreshed
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter, commit
from hc_assets.lake.tables import read_partition, read_partitions

PIXELS = np.zeros((4, 4), np.uint16)
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


@pytest.fixture
def studies(tmp_path, write_dicom):
    """Rows of the studies that files with some attributes make."""

    def make(*files: dict) -> list[dict]:
        folder = Layout.of(tmp_path / "data").partition("imaging/dicom_index", "b")
        with PartWriter(folder, DICOM_INDEX) as writer:
            for number, attributes in enumerate(files):
                own = {"SOPInstanceUID": f"1.2.{number + 1}", "InstanceNumber": number + 1}
                path = write_dicom(PIXELS, f"{number}.dcm", **own | attributes)
                for found in index_files([FileToRead(path.name, path, f"{number:064x}", 1)], "b"):
                    writer.write(found.index)
        rows = list(study_rows(read_series([str(folder / part.name) for part in writer.parts])))
        for row in rows:
            assert row.keys() == set(IMAGING_STUDIES.names)
            assert row["is_valid"] is not has_errors(validate(row["resource"]))
        return rows

    return make


@pytest.fixture
def any_value():
    """Lets pydicom write what it takes to be malformed."""
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    yield
    pydicom.config.settings.writing_validation_mode = pydicom.config.RAISE


def rows_of(paths: list[Path], tmp_path: Path) -> list[dict]:
    """Rows of the studies that files make."""
    folder = Layout.of(tmp_path).partition("imaging/dicom_index", "b")
    with PartWriter(folder, DICOM_INDEX) as writer:
        files = [FileToRead(str(p), p, f"{n:064x}", 1) for n, p in enumerate(paths)]
        for found in index_files(files, "b"):
            writer.write(found.index)
    return list(study_rows(read_series([str(folder / part.name) for part in writer.parts])))


def resource(rows: list[dict]) -> dict:
    (row,) = rows
    assert row["is_valid"]
    made = json.loads(row["resource"])
    ImagingStudy.model_validate(made)  # an oracle of its own
    return made


def test_a_study_says_what_its_files_say(studies):
    common = {
        "StudyDate": "20240229",
        "StudyTime": "073015.5",
        "TimezoneOffsetFromUTC": "+0130",
        "StudyDescription": "CT HEAD",
        "AccessionNumber": "A77",
        "IssuerOfPatientID": "Elsewhere",
        "BodyPartExamined": "HEAD",
    }
    second = {"SeriesInstanceUID": "1.2.3.2", "Modality": "MR", "SeriesNumber": 2}
    made = resource(studies(common, common, common | second | {"Laterality": "L"}))
    assert made["id"] == "1.2.3"
    assert made["identifier"][0] == {
        "use": "official",
        "system": "urn:dicom:uid",
        "value": "urn:oid:1.2.3",
    }
    assert made["identifier"][1]["value"] == "A77"
    assert made["started"] == "2024-02-29T07:30:15.5+01:30"
    assert made["subject"] == {
        "type": "Patient",
        "identifier": {"value": "P1", "assigner": {"display": "Elsewhere"}},
    }
    assert [coding["code"] for coding in made["modality"]] == ["CT", "MR"]
    assert (made["numberOfSeries"], made["numberOfInstances"]) == (2, 3)
    assert [s["numberOfInstances"] for s in made["series"]] == [2, 1]
    assert [i["uid"] for i in made["series"][0]["instance"]] == ["1.2.1", "1.2.2"]
    assert made["series"][1]["laterality"]["code"] == "7771000"
    assert made["series"][1]["bodySite"] == {"display": "HEAD"}


def test_without_an_offset_from_utc_only_the_date_is_said(studies):
    assert resource(studies({"StudyDate": "20240229", "StudyTime": "0730"}))["started"] == (
        "2024-02-29"
    )


def test_dates_and_times_of_acr_nema_are_read(studies, any_value):
    sent = {"StudyDate": "1999.01.02", "StudyTime": "10:20:30", "SeriesDate": "1999.01.03"}
    made = resource(studies(sent | {"TimezoneOffsetFromUTC": "-0500", "SeriesTime": "0102"}))
    assert made["started"] == "1999-01-02T10:20:30-05:00"
    assert made["series"][0]["started"] == "1999-01-03T01:02:00-05:00"


@pytest.mark.parametrize("patients", [("",), ("P1", "P2")])
def test_a_subject_that_is_not_certain_is_unknown(studies, patients):
    rows = studies(*({"PatientID": patient} for patient in patients))
    assert resource(rows)["subject"] == {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    assert rows[0]["patient_id"] is None


def test_what_is_missing_is_left_out_or_declared_unknown(studies):
    made = resource(studies({"Modality": "", "StudyDate": "20241399"}))
    assert "started" not in made
    assert "modality" not in made
    assert made["series"][0]["modality"]["extension"][0]["valueCode"] == "unknown"


def test_control_characters_do_not_get_through(studies):
    made = resource(studies({"StudyDescription": "a\tb\x01c  "}))
    assert made["description"] == "a b c"


@pytest.mark.parametrize("uid", ["not_a_uid!", "1.2." + "9" * 70])
def test_a_series_that_would_make_the_study_invalid_is_left_out_with_the_reason(
    studies, any_value, uid
):
    rows = studies({}, {}, {"SeriesInstanceUID": uid}, {"SeriesInstanceUID": uid})
    made = resource(rows)
    (left_out,) = rows[0]["left_out"]
    assert left_out["series_instance_uid"] == uid
    assert left_out["instances"] == 2
    assert left_out["reason"].startswith("not valid R4: ")
    assert len(made["series"]) == 1
    assert (made["numberOfSeries"], made["numberOfInstances"]) == (2, 4)
    assert rows[0]["reason"] is None


def test_an_instance_that_is_no_part_of_a_valid_study_costs_itself(studies, any_value):
    rows = studies({}, {"SOPInstanceUID": "1.2." + "9" * 70}, {})
    made = resource(rows)
    assert [each["uid"] for each in made["series"][0]["instance"]] == ["1.2.1", "1.2.3"]
    assert rows[0]["left_out"][0]["instances"] == 1


def test_what_is_raised_for_a_series_costs_the_series(studies, monkeypatch):
    genuine = study_resource._series

    def odd(instances):
        if instances[0]["series_instance_uid"] == "1.2.3.9":
            raise ZeroDivisionError
        return genuine(instances)

    monkeypatch.setattr(study_resource, "_series", odd)
    rows = studies({}, {"SeriesInstanceUID": "1.2.3.9"})
    assert len(resource(rows)["series"]) == 1
    (left_out,) = rows[0]["left_out"]
    assert "ZeroDivisionError" in left_out["reason"]
    assert rows[0]["reason"] == left_out["reason"]


@pytest.mark.parametrize(
    ("names", "started"),
    [
        (["study_zone_plus9", "study_zone_minus5"], "2026-01-02T08:00:00+09:00"),
        (["study_time_hours_only"], "2026-01-02T10:00:00+01:00"),
        (["study_time_second_60"], "2026-01-02T10:11:60+01:00"),
        (["zone_minus_zero"], "2026-01-02T10:11:12+00:00"),
    ],
)
def test_studies_of_reported_cases_start_when_they_did(shared_data, tmp_path, names, started):
    (row,) = rows_of([shared_data / "dicom_cases" / f"{name}.dcm" for name in names], tmp_path)
    assert resource([row])["started"] == started


def test_a_series_with_too_long_a_uid_is_missing_in_a_valid_study(shared_data, tmp_path):
    (row,) = rows_of([shared_data / "dicom_cases" / "uid_too_long.dcm"], tmp_path)
    resource([row])
    assert row["left_out"][0]["instances"] == 1


def test_the_id_is_the_uid_or_a_hash_of_what_is_none():
    assert resource_id("1.2.840.1") == "1.2.840.1"
    hashed = resource_id("1.2.840." + "9" * 70)
    assert len(hashed) == 40
    assert resource_id("a b") != resource_id("a c")


def test_the_same_files_make_the_same_bytes_in_any_order(studies):
    files = [
        {"SeriesInstanceUID": f"1.2.3.{n % 2}", "SOPInstanceUID": f"1.9.{n}"} for n in range(6)
    ]
    first = studies(*files)[0]["resource"]
    for number, file in enumerate(files):
        file["InstanceNumber"] = number + 1
    assert studies(*reversed(files))[0]["resource"] == first


def test_every_study_of_the_shared_files_is_valid(shared_files, tmp_path):
    rows = rows_of([file.path for file in shared_files], tmp_path)
    assert len(rows) > 30
    for row in rows:
        resource([row])
        # Narrative is best practice, and would put the patient into words. The Modality of some
        # files is none that DICOM defines.
        issues = validate(row["resource"])
        assert {issue.rule for issue in issues} <= {"dom-6", "code-system"}
        assert not has_errors(issues)


def test_studies_are_found_among_the_current_fhir_resources(hc_assets, query, write_dicom):
    def file(number):
        return write_dicom(PIXELS, f"{number}.dcm", SOPInstanceUID=f"1.9.{number}")

    def current():
        return query(
            "SELECT version_id, decode(resource) FROM fhir.current_resources"
            " WHERE resource_type = 'ImagingStudy' AND resource_id = '1.2.3'"
        )

    assert hc_assets("ingest", file(1)).exit_code == 0
    ((made,),) = query("SELECT decode(resource) FROM imaging.imaging_studies")
    ((version, landed),) = current()
    sent, got = json.loads(made), json.loads(landed)
    assert version == 1
    assert got.pop("meta")["source"] == sent.pop("meta")["source"]
    assert got == sent

    assert hc_assets("ingest", file(2)).exit_code == 0
    ((version, landed),) = current()
    assert (version, json.loads(landed)["numberOfInstances"]) == (2, 2)


def test_what_goes_to_fhir_can_be_kept_from_it(hc_assets, query, data_dir, monkeypatch, testdata):
    monkeypatch.setenv("HC_IMAGING_STUDIES_TO_FHIR", "false")
    assert hc_assets("ingest", testdata("CT_small.dcm")).exit_code == 0
    assert query("SELECT count(*) FROM imaging.imaging_studies") == [(1,)]
    assert not (data_dir / "landing" / "fhir").exists()


@pytest.fixture
def lake(tmp_path, write_dicom):
    """A lake to which batches of files are added, and in which studies are refreshed."""
    return _Lake(Layout.of(tmp_path / "data"), write_dicom)


class _Lake:
    table = "imaging/imaging_studies"

    def __init__(self, layout: Layout, write_dicom) -> None:
        self.layout, self._write, self._files = layout, write_dicom, 0

    def add(self, batch: str, *studies: str) -> None:
        folder = self.layout.partition("imaging/dicom_index", batch)
        with PartWriter(folder, DICOM_INDEX) as writer:
            for study in studies:
                self._files += 1
                number = self._files
                path = self._write(
                    PIXELS,
                    f"{number}.dcm",
                    SOPInstanceUID=f"1.9.{number}",
                    StudyInstanceUID=study,
                    InstanceNumber=number,
                )
                for found in index_files([FileToRead(path.name, path, "0" * 64, 1)], batch):
                    writer.write(found.index)
        commit(self.layout, "imaging/dicom_index", batch, writer.parts)

    def refresh(
        self, version: str = "1", *, hands_over: bool = True, system: str = ""
    ) -> tuple[int, list[bytes], list[str]]:
        """Return how many studies were made, their rows' bytes, and the lines handed over."""
        index = read_partitions(self.layout, "imaging/dicom_index")
        known = handed_over(self.layout)
        made = refreshed(
            self.layout,
            self.table,
            IMAGING_STUDIES,
            index,
            lambda groups: study_rows(groups, system),
            sorted_by=("study_instance_uid",),
            code_version=version,
            options={"system": system},
            failed=lambda row, error: failed_row(row["study_instance_uid"], error),
            reasons="reason",
            seconds=0,
        )
        folder = self.layout.partition(self.table, None)
        path, count = None, 0
        inputs = dict(made.inputs)
        if hands_over:
            landing = self.layout.landing("fhir")
            path, count = hand_to_fhir(landing, [folder / part.name for part in made.parts], known)
            inputs[HANDED_OVER] = "True"
        lines = path.read_text().splitlines() if path else []
        assert len(lines) == count
        commit(self.layout, self.table, None, made.parts, inputs=inputs, code_version=version)
        rows = read_partition(self.layout, self.table, None).to_table().to_pylist()
        return (
            made.rebuilt,
            [row["resource"] for row in rows],
            [json.loads(line)["id"] for line in lines],
        )

    def forget(self) -> None:
        (self.layout.partition(self.table, None) / "_commit.json").unlink()


def test_only_studies_with_new_files_are_rebuilt_and_the_rows_equal_those_from_scratch(lake):
    lake.add("b1", "1.2.5", "1.2.3", "1.2.4")
    assert lake.refresh()[::2] == (3, ["1.2.3", "1.2.4", "1.2.5"])
    lake.add("b2", "1.2.4", "1.2.4", "1.2.9")
    made, rows, handed = lake.refresh()
    assert (made, handed) == (2, ["1.2.4", "1.2.9"])
    assert [json.loads(row)["numberOfInstances"] for row in rows] == [1, 3, 1, 1]
    assert lake.refresh() == (0, rows, [])
    lake.forget()
    assert lake.refresh() == (4, rows, ["1.2.3", "1.2.4", "1.2.5", "1.2.9"])


def test_another_version_of_the_code_or_a_batch_that_changed_means_from_scratch(lake):
    lake.add("b1", "1.2.3")
    lake.refresh()
    assert lake.refresh("2")[0] == 1
    lake.add("b1", "1.2.3", "1.2.4")
    made, rows, handed = lake.refresh("2")
    assert (made, len(rows), handed) == (2, 2, ["1.2.3", "1.2.4"])


def test_the_system_of_patient_ids_is_named_and_a_change_of_it_reaches_every_study(lake):
    lake.add("b1", "1.2.3", "1.2.4")
    lake.refresh()
    made, rows, handed = lake.refresh(system="urn:mrn")
    assert (made, handed) == (2, ["1.2.3", "1.2.4"])
    subjects = [json.loads(row)["subject"]["identifier"] for row in rows]
    assert subjects == [{"system": "urn:mrn", "value": "P1"}] * 2
    assert lake.refresh(system="urn:mrn")[0] == 0


def test_what_was_kept_from_fhir_is_handed_over_once_that_is_wanted(lake):
    lake.add("b1", "1.2.3")
    assert lake.refresh(hands_over=False)[::2] == (1, [])
    lake.add("b2", "1.2.4")
    assert lake.refresh()[::2] == (1, ["1.2.3", "1.2.4"])


def test_what_was_handed_over_before_a_kill_is_handed_over_again_under_the_same_name(lake):
    lake.add("b1", "1.2.3", "1.2.4")
    lake.refresh()
    folder = Path(str(lake.layout.landing("fhir") / "imaging_studies"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    lake.forget()  # as if it had been killed before its commit
    lake.refresh()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_checks_report_what_is_missing(hc_assets, tmp_path, write_dicom, monkeypatch):
    monkeypatch.setenv("HC_IMAGING_STUDIES_TO_FHIR", "false")
    for number, z in enumerate((0, 2, 4, 8, 10)):
        write_dicom(
            PIXELS,
            f"{number}.dcm",
            SOPInstanceUID=f"1.9.{number}",
            ImagePositionPatient=[0, 0, z],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        )
    hc_assets("ingest", *sorted(tmp_path.glob("*.dcm")))
    report = msgspec.json.decode(hc_assets("report", "--format", "json").stdout)
    found = {check["check"]: check for check in report["checks"]}
    assert found["series_complete"]["passed"] is False
    assert found["series_complete"]["severity"] == "WARN"
    assert found["series_complete"]["value"] == 1.0
    assert found["imaging_studies_valid"]["passed"] is True
