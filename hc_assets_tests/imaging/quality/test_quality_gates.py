"""Gates and their explanation, scales, MR metrics, detectors, series, drift and percentiles."""

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from hc_assets.core.setting_errors import SettingError
from hc_assets.imaging.quality.artifacts import ARTIFACTS
from hc_assets.imaging.quality.gates import Rules, explain
from hc_assets.imaging.quality.measure import measure
from hc_assets.imaging.quality.ranks import add_percentiles, percentiles
from hc_assets.imaging.schemas.quality import QUALITY_METRICS
from hc_assets.imaging.series.series_quality import series_rows, steadiness
from hc_assets.imaging.verdicts import drift
from hc_assets.lake.parts import write_part
from hc_assets.settings import Settings

SIDE = 256


def disc(radius: float, side: int = SIDE) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / side - 0.5
    return np.hypot(y, x) < radius


def noise(deviation: float, seed: int = 1, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, (side, side))


def ct(**changes: float) -> np.ndarray:
    """A body in air, in Hounsfield units, with a second tissue and noise."""
    pixels = np.where(disc(0.35), 40.0, -1000)
    pixels[disc(0.12)] = 160
    pixels = cv2.GaussianBlur(pixels, (0, 0), 0.8)
    return pixels + noise(changes.get("noise", 15))


def rician(level: float, deviation: float) -> np.ndarray:
    signal = np.where(disc(0.35), level, 0.0)
    signal[disc(0.15)] = 0.6 * level
    return np.hypot(signal + noise(deviation, 1), noise(deviation, 2))


def test_a_failed_gate_is_explained_by_metric_and_amount(frame_of):
    quality = measure(frame_of(cv2.GaussianBlur(ct(), (0, 0), 5), "CT"))
    explanation = explain(quality, 0.5)
    assert quality.overall < 0.5
    assert explanation.shortfall == pytest.approx(0.5 - quality.overall)
    assert f"by {explanation.shortfall:.2f}" in explanation.text
    assert explanation.limiting_metric == "sharpness"
    assert "sharpness costs" in explanation.text
    assert f"it is {quality.metrics['sharpness'].value:.3g}" in explanation.text


@pytest.mark.parametrize(
    ("spoil", "cause", "detector"),
    [
        (lambda p: p + noise(900, 2), "snr", None),
        (lambda p: cv2.GaussianBlur(p, (0, 0), 6), "sharpness", None),
        (lambda p: p + 300 * np.sin(np.arange(SIDE))[:, None], "artifacts_score", "banding"),
        (lambda p: p + 0.4 * np.roll(p + 1000, SIDE // 2, 0), "artifacts_score", "ghosting"),
        (lambda p: np.minimum(p, -100), "artifacts_score", "clipping"),
    ],
)
def test_the_explanation_names_what_was_done_to_the_image(frame_of, spoil, cause, detector):
    clean = measure(frame_of(ct(), "CT"))
    quality = measure(frame_of(spoil(ct()), "CT"))
    assert clean.overall > 0.7
    assert quality.overall < 0.5
    explanation = explain(quality, 0.5)
    assert explanation.limiting_metric == cause
    assert detector is None or f"most of it {detector}" in explanation.text
    for each in (clean, quality):
        assert sum(each.costs.values()) == pytest.approx(1 - each.overall)


def test_a_passed_gate_has_no_shortfall(frame_of):
    explanation = explain(measure(frame_of(ct(), "CT")), 0.5)
    assert explanation.shortfall is None
    assert explanation.text.startswith("passes")


def test_weights_add_up_to_one_whatever_is_missing(frame_of):
    for modality in ("CT", "MR", "DX", "US", "??"):
        quality = measure(frame_of(np.abs(ct() + 1000), modality))
        assert sum(quality.weights.values()) == pytest.approx(1)
        assert quality.weights_rescaled == ("uniformity" not in quality.weights)


def test_other_scales_give_another_score(frame_of, monkeypatch):
    monkeypatch.setenv(
        "HC_QUALITY_SCALES", '{"CT": {"sharpness": {"half": 0.6, "steepness": 3.0}}}'
    )
    strict = Settings().quality_scales
    frame = frame_of(ct(), "CT")
    assert measure(frame, scales=strict).overall < measure(frame).overall
    assert strict["MR"] == Rules().scales["MR"]
    assert strict["CT"].snr == Rules().scales["CT"].snr
    assert Rules(scales=strict).digest() != Rules().digest()


@pytest.mark.parametrize("half", ["0", "-1", '"x"'])
def test_an_impossible_scale_is_refused(monkeypatch, half):
    monkeypatch.setenv(
        "HC_QUALITY_SCALES", f'{{"CT": {{"snr": {{"half": {half}, "steepness": 1}}}}}}'
    )
    with pytest.raises(SettingError, match="QUALITY_SCALES"):
        Settings()


@pytest.mark.parametrize("snr", [10, 40, 160])
def test_snr_over_rayleigh_air_is_true_for_one_coil(frame_of, snr):
    found = measure(frame_of(rician(1000, 1000 / snr))).magnetic_resonance
    assert found.snr_air == pytest.approx(snr, rel=0.05)


def test_a_zeroed_background_gives_reasons_not_numbers(frame_of):
    pixels = rician(1000, 20)
    pixels[~disc(0.37)] = 0
    quality = measure(frame_of(pixels))
    found = quality.magnetic_resonance
    assert (found.fber, found.snr_air) == (None, None)
    assert found.reasons["fber"] == found.reasons["snr_air"] == "background_zeroed"
    assert quality.metrics["snr"].validity == "background_zeroed"


def test_air_that_is_not_rayleigh_gives_no_snr_over_air(frame_of):
    pixels = np.where(disc(0.35), 1000.0, 100) + noise(20)
    found = measure(frame_of(pixels)).magnetic_resonance
    assert found.reasons["snr_air"] == "background_not_rayleigh"


def test_other_modalities_have_no_mr_metrics(frame_of):
    found = measure(frame_of(ct(), "CT")).magnetic_resonance
    assert set(found.reasons.values()) == {"not_an_mr_image"}


def test_ghosts_and_blur_raise_the_entropy_and_noise_the_joint_variation(frame_of):
    clean = measure(frame_of(rician(1000, 10))).magnetic_resonance
    pixels = rician(1000, 10)
    ghosted = measure(frame_of(pixels + 0.3 * np.roll(pixels, SIDE // 2, 0))).magnetic_resonance
    noisy = measure(frame_of(rician(1000, 60))).magnetic_resonance
    assert 0 < clean.efc < ghosted.efc < 1
    assert clean.fber > ghosted.fber
    assert clean.cjv < noisy.cjv


def ring(pixels: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return pixels + 80 * np.sin(2 * np.pi * np.hypot(y, x) / 6)


def dead_lines(pixels: np.ndarray) -> np.ndarray:
    spoiled = pixels.copy()
    spoiled[[100, 120, 140]] -= 600
    return spoiled


def metal(pixels: np.ndarray) -> np.ndarray:
    spoiled = pixels.copy()
    spoiled[120:126, 150:160] = 3071
    return spoiled


def truncated(pixels: np.ndarray) -> np.ndarray:
    return pixels[70:-70]


def echoed(pixels: np.ndarray) -> np.ndarray:
    return pixels + 0.2 * np.roll(pixels + 1000, SIDE // 2, axis=1)


def unfiltered(pixels: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] - 100
    bars = np.sin(2 * np.pi * np.hypot(y, x) / 13.7) > 0
    return np.where(disc(0.35), pixels + 900 * bars, pixels)


@pytest.mark.parametrize(
    ("spoil", "detector", "least"),
    [
        (ring, "rings", 0.4),
        (dead_lines, "missing_lines", 0.5),
        (metal, "metal", 0.1),
        (truncated, "truncation", 0.5),
        (echoed, "ghosting", 0.5),
        (unfiltered, "aliasing", 0.3),
    ],
)
def test_each_detector_finds_its_artifact_and_nothing_in_a_clean_image(
    frame_of, spoil, detector, least
):
    clean = measure(frame_of(ct(), "CT")).artifacts
    found = measure(frame_of(spoil(ct()), "CT")).artifacts
    assert getattr(clean, detector) < 0.1
    assert getattr(found, detector) > least
    assert found.score < clean.score
    for name in ARTIFACTS:
        assert 0 <= getattr(found, name) <= 1


def test_one_bad_slice_stands_out_and_a_slope_does_not():
    slope = np.linspace(0.9, 0.6, 30)
    assert steadiness(slope).outliers.size == 0
    slope[12] = 0.4
    steady = steadiness(slope)
    assert steady.outliers.tolist() == [12]
    assert steady.expected[12] == pytest.approx(0.776, abs=0.02)
    assert 0.9 < steady.consistency <= 1
    assert steadiness([0.9, 0.1, 0.9, 0.1]) is None


def frames(scores: list[float | None], order: list[int]) -> tuple[pa.Table, pa.Table]:
    metrics = [
        {
            "source_file": f"{n}.dcm",
            "series_instance_uid": "1.2",
            "frame": 0,
            "modality": "CT",
            "scanner": "A B",
            "overall_quality": score,
            "passes_gate": None if score is None else score >= 0.5,
        }
        for n, score in enumerate(scores)
    ]
    index = [
        {
            "source_file": f"{n}.dcm",
            "instance_number": 1,
            "image_position": [0.0, 0.0, float(place)],
            "image_orientation": [1.0, 0, 0, 0, 1, 0],
        }
        for n, place in enumerate(order)
    ]
    return pa.Table.from_pylist(metrics), pa.Table.from_pylist(index)


def test_a_series_is_compared_in_the_order_of_its_slices():
    scores = [0.9, 0.6, 0.89, 0.61, 0.88, 0.62, 0.87, None]
    places = [1, 9, 2, 8, 3, 7, 4, 5]
    (rows,) = series_rows("b", *frames(scores, places))
    (row,) = rows.to_pylist()
    assert (row["frames"], row["scored_frames"], row["passing_frames"]) == (8, 7, 7)
    assert row["quality_minimum"] == 0.6
    in_order, out_of_order = row, next(series_rows("b", *frames(scores, list(range(8)))))
    assert in_order["slice_consistency"] > out_of_order.to_pylist()[0]["slice_consistency"]


def scanner(name: str, scores: list[float | None]) -> pa.Table:
    rows = [{"modality": "CT", "scanner": name, "overall_quality": s} for s in scores]
    return pa.Table.from_pylist(rows, pa.schema([QUALITY_METRICS.field(n) for n in drift.COLUMNS]))


def test_a_scanner_that_got_worse_is_found_and_a_new_one_is_not_judged():
    before = pa.concat_tables([scanner("A", [0.9] * 20), scanner("B", [0.8] * 20)])
    now = pa.concat_tables([scanner("A", [0.7] * 20), scanner("B", [0.8] * 20)])
    verdict = drift.scanners_steady(now, before, 0.1)
    assert not verdict.passed
    assert verdict.value == pytest.approx(0.2)
    assert verdict.counts == {"scanners": 2, "fallen": 1}
    assert verdict.explanation.endswith("the worst: CT scanner 559aead0")  # SHA-256 of A
    assert drift.scanners_steady(now, before, 0.25).passed
    new = drift.scanners_steady(scanner("C", [0.1] * 20), before, 0.1)
    assert (new.passed, new.value) == (True, 0.0)
    few = drift.scanners_steady(scanner("A", [0.1] * 5 + [None] * 20), before, 0.1)
    assert few.passed


@pytest.mark.parametrize(("outliers", "passed"), [([0, 1], True), ([0, 3], False)])
def test_slices_that_stand_out_are_held_against_their_share(outliers, passed):
    columns = pa.chunked_array([outliers]), pa.chunked_array([[20, 20]])
    verdict = drift.slices_consistent(*columns, 0.05)
    assert (verdict.passed, verdict.value) == (passed, sum(outliers) / 40)


def test_percentiles_count_half_of_equals():
    among = np.array([0.1, 0.2, 0.2, 0.9])
    assert percentiles(np.array([0.2, 0.9, 0.1]), among).tolist() == [50.0, 87.5, 12.5]


def test_rows_learn_their_percentile_once_all_units_are_done(tmp_path):
    folder = UPath(tmp_path)
    rows = [
        {"modality": "CT", "scanner": "A", "overall_quality": 0.9, "gate_shortfall": None},
        {"modality": "CT", "scanner": "A", "overall_quality": 0.4, "gate_shortfall": 0.1},
        {"modality": "MR", "scanner": "A", "overall_quality": 0.4, "gate_shortfall": 0.1},
        {"modality": "CT", "scanner": "A", "overall_quality": None, "gate_shortfall": None},
    ]
    fields = ["modality", "scanner", "overall_quality", "gate_shortfall", "quality_percentile"]
    fields += ["file_sha256", "has_burned_in_text", "explanation"]
    schema = pa.schema([QUALITY_METRICS.field(name).with_nullable(True) for name in fields])
    tables = [
        pa.Table.from_pylist(
            [row | {"explanation": "explanation", "file_sha256": ""} for row in half], schema
        )
        for half in (rows[:1], rows[1:])
    ]
    parts = [write_part(folder, t, number=n, prefix=".tmp-draft") for n, t in enumerate(tables)]
    ranked = add_percentiles(folder, parts)
    assert sorted(path.name for path in folder.iterdir()) == [part.name for part in ranked]
    found = [row for part in ranked for row in pq.read_table(str(folder / part.name)).to_pylist()]
    assert [row["quality_percentile"] for row in found] == [75.0, 25.0, 50.0, None]
    assert found[0]["explanation"] == "explanation"
    assert "percentile 25 of 2 frames" in found[1]["explanation"]
