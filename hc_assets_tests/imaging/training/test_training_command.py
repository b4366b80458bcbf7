import pytest
from pydicom.data import get_testdata_file

from hc_assets.imaging.training.dataset import TrainingSet


@pytest.fixture(autouse=True)
def without_fhir(monkeypatch):
    monkeypatch.setenv("HC_IMAGING_STUDIES_TO_FHIR", "false")


def test_ingest_makes_a_set_and_the_command_makes_another(
    hc_assets, query, data_dir, tmp_path, monkeypatch
):
    monkeypatch.setenv("HC_TRAINING_SPLITS", '{"all": 1.0}')
    monkeypatch.setenv("HC_QUALITY_TRAINING_GATE", "0.1")
    images = [get_testdata_file(name, download=False) for name in ("CT_small.dcm", "MR_small.dcm")]
    assert hc_assets("ingest", *images).exit_code == 0
    made = TrainingSet(data_dir / "exports" / "training_set")
    (rows,) = query(
        "SELECT count(*), count(DISTINCT modality), min(split) FROM imaging.training_set"
    )
    assert rows == (2, 2, "all")
    assert made.pipelines()[0].startswith("ct/")
    salt = data_dir / "secrets" / "training_salt"
    assert (len(salt.read_text()), salt.stat().st_mode & 0o077) == (64, 0)

    folder = tmp_path / "another"
    result = hc_assets("training-set", folder, "--modality", "MR", "--maximum", 3)
    assert (result.exit_code, result.stdout) == (0, "all\t1\t1\n")
    assert "left out: another modality\t1" in result.stderr
    ours = {sample.sample_id for sample in made.split("all", "mr")}
    assert {sample.sample_id for sample in TrainingSet(folder).split("all")} == ours
    assert query("SELECT count(*) FROM imaging.training_set") == [(2,)]

    labels = tmp_path / "labels.csv"
    labels.write_text("name,label\nx,y\n")
    result = hc_assets("training-set", folder, "--labels", labels)
    assert result.exit_code == 3
    assert "labels.csv:1: expected columns label" in result.stderr
    assert len(TrainingSet(folder).split("all")) == 1
