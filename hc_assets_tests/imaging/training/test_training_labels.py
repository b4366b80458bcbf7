import pytest

from hc_assets.imaging.training.labels import LabelRow, LabelsError, read_csv


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "labels.csv"
        path.write_text(text)
        return path

    return write


def test_each_line_is_a_label_of_a_key(written):
    path = written("\ufeffpatient_id,frame,label,note\n P1 ,,yes,\nP2,3, ,x\n")
    assert list(read_csv(path)) == [LabelRow("P1", None, "yes"), LabelRow("P2", 3, None)]


def test_the_most_exact_key_counts(written):
    path = written("patient_id,series_instance_uid,label\nP1,1.2,x\n")
    assert list(read_csv(path)) == [LabelRow("1.2", None, "x")]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", ":1: expected columns label"),
        ("patient_id,diagnosis\nP1,x\n", ":1: expected columns label"),
        ("name,label\nP1,x\n", ":1: expected columns label"),
        ("patient_id,label\nP1,x\nSecret\n", ":3: expected 2 fields"),
        ("patient_id,label\nP1,x\nSecret,x,y\n", ":3: expected 2 fields"),
        ("patient_id,label\n,x\n", ":2: expected a patient_id"),
        ("patient_id,frame,label\nP1,Secret,x\n", ":2: expected a frame number"),
    ],
)
def test_a_line_that_is_not_as_it_must_be_is_named_without_its_values(written, text, place):
    with pytest.raises(LabelsError) as error:
        list(read_csv(written(text)))
    assert place in str(error.value)
    assert "Secret" not in str(error.value)
