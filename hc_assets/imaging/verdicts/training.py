"""Whether a training set can be trusted: the evaluators behind its checks.

Belongs here: asking and comparing. How bad a failure is, is stated in `imaging/checks.py`.
"""

from collections.abc import Mapping

import duckdb

from hc_assets.core.verdicts import Verdict
from hc_assets.imaging.training.manifest import SplitCounts

# Asked of PatientIDs and pixels as they were landed, not of what the plan made of them.
_LEAKS = """
    SELECT
        count(*) FILTER (kind = 'patient' AND first <> last),
        count(*) FILTER (kind = 'pixels' AND first <> last),
        count(*) FILTER (kind = 'patient')
    FROM (
        SELECT 'patient' AS kind, trim(i.patient_id) AS value,
            min(t.split) AS first, max(t.split) AS last
        FROM imaging.training_set AS t
        JOIN imaging.dicom_index AS i ON i.batch = t.batch AND i.source_file = t.source_file
        WHERE trim(i.patient_id) <> '' GROUP BY ALL
        UNION ALL
        SELECT 'pixels', a.content_sha256, min(t.split), max(t.split)
        FROM imaging.training_set AS t
        JOIN imaging.preprocessed_arrays AS a
            ON a.batch = t.batch AND a.source_file = t.source_file AND a.frame = t.frame
        GROUP BY ALL
    )
"""


def splits_disjoint(connection: duckdb.DuckDBPyConnection) -> Verdict:
    """Judge that no patient, and no array of the same pixels, is in two splits.

    Args:
        connection: to the warehouse.

    Returns:
        A verdict whose value counts patients and pixels in several splits.
    """
    patients, pixels, total = connection.execute(_LEAKS).fetchall()[0]
    return Verdict(
        passed=patients + pixels == 0,
        value=float(patients + pixels),
        threshold=0.0,
        explanation=f"{patients} of {total} patients, and {pixels} arrays of the same pixels, are"
        " in several splits",
        counts={"patients": patients, "pixels": pixels, "total": total},
    )


def class_balance(
    splits: Mapping[str, SplitCounts], *, is_labelled: bool, threshold: float
) -> Verdict:
    """Judge that in each split the rarest class is not too rare beside the commonest.

    Samples without any label are a class too, where the set has some.

    Args:
        splits: counts by split.
        is_labelled: whether labels were asked for; where they were not, there is nothing to judge.
        threshold: least share that the rarest may have of the commonest, 0 to 1.

    Returns:
        A verdict whose value is the least ratio of all splits; 0 where a split lacks a class, and
        where a labelled set has no samples.
    """
    if not is_labelled:
        return Verdict(True, 1.0, threshold, "the training set has no labels")
    classes = sorted({label for counts in splits.values() for label in counts.labels})
    ratios = {}
    for split, counts in splits.items():
        found = [counts.labels.get(label, 0) for label in classes]
        ratios[split] = min(found, default=0) / max([1, *found])
    worst = min(ratios, key=lambda split: ratios[split])
    return Verdict(
        passed=ratios[worst] >= threshold,
        value=ratios[worst],
        threshold=threshold,
        explanation=f"{len(classes)} classes; in the split {worst} the rarest has"
        f" {ratios[worst]:.3f} of the samples of the commonest",
        counts={"classes": len(classes), "splits": len(splits)},
    )
