import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hc_assets.imaging.training.plan import Plan
from hc_assets.imaging.training.selection import Selection
from hc_assets.imaging.training.splits import SelectionError
from hc_assets_tests.imaging.training.conftest import Lake, Scan

EVEN = {"train": 0.5, "validation": 0.25, "test": 0.25}


@pytest.fixture
def planned(lake, connected, asked):
    """Rows of a plan over all batches, and the plan."""

    def plan(*batches: str, **choices):
        made = Plan(connected(), asked(**choices), batches)
        return [row for batch in batches for row in made.of_batch(batch).to_pylist()], made

    return plan


def files(rows):
    return [row["source_file"] for row in rows]


def test_patients_are_split_in_about_the_requested_shares(lake, planned, scan):
    lake.put("b", *(scan(f"P{n}", seed=n) for n in range(400)))
    rows, _ = planned("b", splits=EVEN)
    counts = [sum(row["split"] == split for row in rows) for split in EVEN]
    assert sum(counts) == 400
    for count, share in zip(counts, EVEN.values(), strict=True):
        assert abs(count - 400 * share) < 40  # four standard deviations


def test_splits_do_not_depend_on_what_else_there_is_or_is_chosen(lake, planned, scan):
    few = [scan(f"P{n}", seed=n) for n in range(30)]
    lake.put("b", *few)
    alone, _ = planned("b", splits=EVEN)
    lake.put("c", *(scan(f"Q{n}", seed=100 + n, quality=0.75) for n in range(30)))
    beside, _ = planned("b", "c", splits=EVEN)
    chosen, _ = planned("b", "c", splits=EVEN, quality_threshold=0.8)
    assert {row["split"] for row in alone} == set(EVEN)
    assert beside[: len(alone)] == alone == chosen


def test_seed_changes_splits_and_salt_changes_pseudonyms_only(lake, connected, scan):
    lake.put("b", *(scan(f"P{n}", seed=n) for n in range(40)))
    first, seeded, salted = (
        Plan(connected(), Selection(salt=salt, split_seed=seed, splits=EVEN), ["b"])
        .of_batch("b")
        .to_pydict()
        for salt, seed in (("s", ""), ("s", "x"), ("t", ""))
    )
    assert first["split"] != seeded["split"]
    assert first["patient_pseudonym"] == seeded["patient_pseudonym"]
    assert first["split"] == salted["split"]
    assert not {*first["patient_pseudonym"]} & {*salted["patient_pseudonym"]}
    assert not {*first["sample_id"]} & {*salted["sample_id"]}


@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "", " ", *"ABCDEFGH"]),
            st.integers(0, 12),
            st.sampled_from([None, *"xyz"]),
        ),
        min_size=1,
        max_size=24,
    )
)
def test_no_patient_study_or_array_is_in_two_splits(tmp_path_factory, described):
    lake = Lake(tmp_path_factory.mktemp("lake") / "data")
    scans = [Scan(patient, seed, study) for patient, seed, study in described]
    lake.put("b", *scans)
    with lake.reader() as connection:
        selection = Selection(salt="s", splits=EVEN)
        plan = Plan(connection, selection, ["b"])
        # Duplicates are left out of the samples, yet must not have been put elsewhere
        found = connection.execute(
            "SELECT patient, study_instance_uid, content_sha256, split, reason FROM plan"
        ).fetchall()
        assert len(found) == len(scans)
        for column in range(3):
            for value in {row[column] for row in found}:
                assert len({row[3] for row in found if row[column] == value}) == 1
        samples = [row[2] for row in found if row[4] is None]
        assert sorted(samples) == sorted({row[2] for row in found})
        assert plan.left_out().get("the same pixels as another", 0) == len(scans) - len(samples)


def test_what_is_not_asked_for_is_left_out_with_its_reason(lake, planned, scan):
    lake.put(
        "b",
        scan("P1", 1),
        scan("P2", 2, modality="MR"),
        scan("P3", 3, body_part="CHEST"),
        scan("P4", 4, quality=0.69),
        scan("P5", 5, quality=None),
        scan("P6", 6, more={"burned_in_annotation": "YES"}),
        scan("P7", 7, body_part="head", quality=0.7, more={"burned_in_annotation": "NO"}),
        # What the pixels show goes before what the header says
        scan("P8", 8, more={"burned_in_annotation": "NO", "has_burned_in_text": True}),
    )
    choices = {"modalities": ["ct"], "body_parts": ["Head"]}
    rows, plan = planned("b", **choices)
    assert files(rows) == ["0.dcm", "6.dcm"]
    assert plan.left_out() == {
        "another body part": 1,
        "another modality": 1,
        "burned-in annotation": 2,
        "no quality score": 1,
        "quality below the threshold": 1,
    }
    assert files(planned("b", with_burned_in=True, **choices)[0]) == [
        "0.dcm",
        "5.dcm",
        "6.dcm",
        "7.dcm",
    ]


def test_a_body_part_leaves_only_where_dicom_or_who_asks_defines_it(lake, planned, scan):
    lake.put("b", scan("P1", 1, body_part="Jane Doe"), scan("P2", 2, body_part="chest"))
    rows, _ = planned("b")
    assert {row["source_file"]: row["body_part"] for row in rows} == {
        "0.dcm": None,
        "1.dcm": "CHEST",
    }
    rows, _ = planned("b", body_parts=["jane doe"])
    assert [row["body_part"] for row in rows] == ["JANE DOE"]


def test_burned_in_text_holds_back_the_frame_that_has_it_and_no_other(lake, planned, scan):
    text = {"has_burned_in_text": True}
    # Files of the same names, and frames of one file
    lake.put("b", scan("P1", 1, more=text), scan("P2", 2))
    lake.put(
        "c",
        scan("P3", 3),
        scan("P4", 4, more={**text, "source_file": "many.dcm"}),
        scan("P4", 5, frame=1, more={"source_file": "many.dcm", "has_burned_in_text": False}),
        scan("P5", 6, more={"has_burned_in_text": None, "burned_in_annotation": None}),
    )
    rows, plan = planned("b", "c")
    assert [(row["source_file"], row["frame"]) for row in rows] == [
        ("1.dcm", 0),
        ("0.dcm", 0),
        ("3.dcm", 0),
        ("many.dcm", 1),
    ]
    assert plan.left_out() == {"burned-in annotation": 2}


def test_a_maximum_takes_the_same_samples_of_all_batches(lake, planned, scan):
    for batch, first in (("b", 0), ("c", 10)):
        lake.put(batch, *(scan(f"P{n}", seed=n) for n in range(first, first + 10)))
    everything, _ = planned("b", "c")
    rows, plan = planned("b", "c", maximum=7)
    assert plan.left_out() == {"beyond the maximum": 13}
    lowest = sorted(row["sample_id"] for row in everything)[:7]
    assert sorted(row["sample_id"] for row in rows) == lowest
    assert sum(samples for samples, _ in plan.samples_and_patients().values()) == 7


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patient_id", "P1"),
        ("study_instance_uid", "1.9"),
        ("accession_number", "A1"),
        ("sop_instance_uid", "1.7"),
    ],
)
def test_labels_come_from_a_file_by_any_key(lake, planned, scan, tmp_path, key, value):
    lake.put(
        "b",
        scan("P1", 1, study="1.9", sop="1.7", more={"accession_number": "A1"}),
        scan("P2", 2),
    )
    path = tmp_path / "labels.csv"
    path.write_text(f"{key},label\n{value},b\n{value},a\nnobody,c\n")
    rows, plan = planned("b", labels_file=path)
    assert [(row["source_file"], row["labels"]) for row in rows] == [("0.dcm", ["a", "b"])]
    assert plan.left_out() == {"no label": 1}
    ((split, counts),) = plan.label_counts().items()
    assert (split, counts) == (rows[0]["split"], {"a": 1, "b": 1})


def test_a_line_for_a_frame_goes_before_one_for_its_file(lake, planned, scan, tmp_path):
    lake.put("b", scan("P1", 1, sop="1.7", frame=1), scan("P1", 2, sop="1.7", frame=2))
    path = tmp_path / "labels.csv"
    path.write_text("sop_instance_uid,frame,label\n1.7,,all\n1.7,2,\n")
    rows, plan = planned("b", labels_file=path)
    assert [row["labels"] for row in rows] == [["all"], []]
    assert plan.label_counts() == {rows[0]["split"]: {"": 1, "all": 1}}


@pytest.mark.parametrize(
    "choices",
    [
        {"splits": {"train": 0.5}},
        {"splits": {"train": 0.5, "../up": 0.5}},
        {"splits": {"train": 1.0, "test": 0.0}},
        {"salt": ""},
        {"labels_file": "x.csv", "label_codes": {"a": ["b"]}},
    ],
)
def test_choices_that_cannot_be_followed_are_refused(choices):
    with pytest.raises(SelectionError, match="expected"):
        Selection(**{"salt": "s", **choices})
