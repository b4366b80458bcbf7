"""Counted statistics are those of the values themselves."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.imaging.quality_report.statistics import Group, Scores, count, report_row
from hc_assets.imaging.schemas.quality import QUALITY_REPORT

SCHEMA = pa.schema(
    [
        ("batch", pa.string()),
        ("modality", pa.string()),
        ("scanner", pa.string()),
        ("overall_quality", pa.float64()),
        ("passes_gate", pa.bool_()),
        ("is_fit_for_training", pa.bool_()),
        ("has_burned_in_text", pa.bool_()),
    ]
)


def rows(scores: list[float | None], **members: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [
            {
                "batch": "b1",
                "modality": "CT",
                "scanner": "A",
                "overall_quality": score,
                "passes_gate": None if score is None else score >= 0.5,
                "is_fit_for_training": None if score is None else score >= 0.7,
                "has_burned_in_text": None if score is None else score < 0.1,
                **members,
            }
            for score in scores
        ],
        SCHEMA,
    )


scores_lists = st.lists(
    st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=40), min_size=1, max_size=4
)


@given(scores_lists)
def test_statistics_are_those_of_the_values(batches):
    scores = Scores()
    for batch in batches:
        scores.add(rows(batch))
    values = np.array([s for batch in batches for s in batch if s is not None])
    assert (scores.frames, scores.scored) == (sum(map(len, batches)), values.size)
    if not values.size:
        assert (scores.mean, scores.deviation, scores.percentile(50)) == (None, None, None)
        return
    assert scores.mean == pytest.approx(values.mean(), abs=1e-12)
    assert scores.deviation == pytest.approx(values.std(), abs=1e-7)
    assert (scores.minimum, scores.maximum) == (values.min(), values.max())
    assert scores.passing == np.count_nonzero(values >= 0.5)
    assert scores.training == np.count_nonzero(values >= 0.7)
    assert scores.with_text == np.count_nonzero(values < 0.1)
    for threshold in (0, 0.05, 0.29, 0.5, 0.57, 0.7, 0.999, 1):
        assert scores.kept(threshold) == np.count_nonzero(values >= threshold), threshold
    for percent in (25, 50, 75, 90):
        # Between the two values that the rank falls between, to within a bin
        below, above = (
            np.percentile(values, percent, method=how) for how in ("inverted_cdf", "higher")
        )
        assert below - 0.001 <= scores.percentile(percent) <= above + 0.001
    assert scores.histogram().sum() == values.size
    assert scores.histogram().tolist() == np.histogram(values, np.arange(21) / 20)[0].tolist()


@given(scores_lists)
def test_how_rows_are_batched_changes_nothing_that_is_counted(batches):
    apart, whole = Scores(), Scores()
    for batch in batches:
        apart.add(rows(batch))
    whole.add(rows([score for batch in batches for score in batch]))
    assert apart.histogram().tolist() == whole.histogram().tolist()
    assert apart.percentile(90) == whole.percentile(90)
    assert (apart.deviation is None) == (whole.deviation is None)
    assert apart.deviation is None or apart.deviation == pytest.approx(whole.deviation, abs=1e-7)


def test_frames_are_counted_in_each_of_their_groups():
    found = count(
        [
            rows([0.1, None]),
            rows([0.9], modality="MR", scanner=None, batch="b2"),
            rows([0.8], modality=None, scanner="A"),
        ]
    )
    assert [(group, scores.frames, scores.scored) for group, scores in found.items()] == [
        (Group("all"), 4, 3),
        (Group("modality", ""), 1, 1),
        (Group("modality", "CT"), 2, 1),
        (Group("modality", "MR"), 1, 1),
        (Group("scanner", "", "A"), 1, 1),
        (Group("scanner", "CT", "A"), 2, 1),
        (Group("scanner", "MR", ""), 1, 1),
        (Group("batch", batch="b1"), 3, 2),
        (Group("batch", batch="b2"), 1, 1),
    ]


def test_rows_of_the_report_fit_its_schema_also_where_nothing_is_scored():
    found = count([rows([None]), rows([0.25, 0.75, 1.0], modality="MR")])
    made = pa.Table.from_pylist([report_row(g, s) for g, s in found.items()], QUALITY_REPORT)
    made.validate(full=True)
    everything, unscored, scored = made.to_pylist()[:3]
    assert (everything["scope"], everything["modality"], everything["frames"]) == ("all", None, 4)
    assert unscored["mean"] is None
    assert unscored["minimum"] is None
    assert scored["kept"][10] == {"threshold": 0.5, "frames": 2}
    assert scored["kept"][20] == {"threshold": 1.0, "frames": 1}
    assert sum(scored["histogram"]) == 3


def test_no_rows_are_a_report_of_nothing():
    (group,) = count([])
    assert group == Group("all")


def test_a_modality_that_dicom_does_not_define_is_not_named():
    found = count([rows([0.9, 0.8], modality="DOE JANE"), rows([0.7], modality="MR")])
    groups = {(group.scope, group.modality): scores.frames for group, scores in found.items()}
    assert groups["modality", ""] == 2
    assert groups["modality", "MR"] == 1
    assert not any("DOE" in str(group) for group in found)
