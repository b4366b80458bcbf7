import dataclasses
from datetime import datetime, timedelta

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.pixels.uptake import Uptake
from hc_assets.imaging.preprocessing.registry import recipe_for
from hc_assets.imaging.preprocessing.suv import suv_factor

NOON = datetime(2020, 5, 1, 12)  # noqa: DTZ001 - DICOM times are local
HALF_LIFE = 6586.2  # of F-18, s
GOOD = Uptake(
    units="BQML",
    decay_correction="START",
    corrections=("ATTN", "DECY"),
    weight=70.0,
    dose=350e6,
    half_life=HALF_LIFE,
    injected_at=NOON,
    series_at=NOON + timedelta(seconds=HALF_LIFE),
    acquired_at=NOON + timedelta(seconds=HALF_LIFE),
)


def test_an_even_spread_of_the_dose_left_is_1():
    """350 MBq after one half-life are 175 MBq; in 70 kg of water that is 2,500 Bq/ml."""
    assert suv_factor(GOOD).value * 2500 == pytest.approx(1)


def test_images_corrected_to_injection_need_no_decay():
    assert suv_factor(dataclasses.replace(GOOD, decay_correction="ADMIN")).value == 70e3 / 350e6


def test_a_time_of_day_alone_may_be_of_the_day_before():
    late = dataclasses.replace(GOOD, injected_at=NOON + timedelta(hours=11.5))
    midnight = NOON + timedelta(hours=-11.5)
    scanned = dataclasses.replace(late, series_at=midnight, acquired_at=midnight)
    hour = dataclasses.replace(GOOD, series_at=NOON + timedelta(hours=1))
    hour = dataclasses.replace(hour, acquired_at=hour.series_at)
    assert suv_factor(scanned).value == pytest.approx(suv_factor(hour).value)
    assert suv_factor(dataclasses.replace(scanned, is_injection_dated=True)).value is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"units": ""}, "no Units"),
        ({"units": "PROPCPS"}, "Units are neither"),
        ({"corrections": ("ATTN",)}, "lacks DECY"),
        ({"decay_correction": "NONE"}, "neither START nor ADMIN"),
        ({"weight": None}, "PatientWeight"),
        ({"weight": 0.0}, "PatientWeight"),
        ({"dose": float("nan")}, "RadionuclideTotalDose"),
        ({"half_life": -1.0}, "RadionuclideHalfLife"),
        ({"injected_at": None}, "no time of injection"),
        ({"series_at": None}, "series' time is absent"),
        ({"series_at": NOON + timedelta(hours=9)}, "later than the acquisition"),
        ({"injected_at": NOON - timedelta(days=3)}, "days before"),
        ({"units": "GML", "suv_type": "LBM"}, "not by body weight"),
        ({"units": "CNTS"}, "without Philips"),
    ],
)
def test_where_the_tags_do_not_allow_suv_the_reason_is_in_the_decisions(change, words):
    factor = suv_factor(dataclasses.replace(GOOD, **change))
    assert factor.value is None
    assert words in factor.reason


def test_values_that_are_suv_already_stay():
    assert suv_factor(Uptake(units="GML")).value == 1.0
    assert suv_factor(Uptake(units="GML", suv_type="BW")).value == 1.0


def test_philips_counts_have_a_factor_of_their_own():
    counts = dataclasses.replace(GOOD, units="CNTS", philips_suv_scale=0.25)
    assert suv_factor(counts).value == 0.25


def tracer_image(dataset_of, **changes: object) -> Dataset:
    dataset = dataset_of(np.full((32, 32), 2500, np.uint16), Modality="PT", Units="BQML")
    dataset.CorrectedImage = ["DECY", "ATTN"]
    dataset.DecayCorrection, dataset.PatientWeight = "START", 70
    dataset.SeriesDate = dataset.AcquisitionDate = "20200501"
    dataset.SeriesTime = dataset.AcquisitionTime = "134946.2"
    tracer = Dataset()
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = 350e6, HALF_LIFE
    tracer.RadiopharmaceuticalStartTime = "120000"
    dataset.RadiopharmaceuticalInformationSequence = [tracer]
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


def test_a_file_becomes_suv_on_a_fixed_scale(dataset_of, write_dicom):
    (frame,) = iter_frames(write_dicom(tracer_image(dataset_of)))
    assert isinstance(frame, Frame)
    made = recipe_for("PT").run(frame)
    assert made.decisions == ("SUV: decay corrected to the series' start",)
    assert made.pixels == pytest.approx(1 / 20, rel=1e-5)


def test_two_tracers_in_one_image_give_no_suv(dataset_of, write_dicom):
    dataset = tracer_image(dataset_of)
    dataset.RadiopharmaceuticalInformationSequence.append(Dataset())
    (frame,) = iter_frames(write_dicom(dataset))
    assert frame.context.uptake.dose is None
    assert "no SUV" in recipe_for("PT").run(frame).decisions[0]


def test_real_tomograms_have_suv_of_a_body(shared_files):
    seen = 0
    for file in shared_files:
        if file.modality != "PT" or file.pixels_ok != "1":
            continue
        (frame,) = iter_frames(file.path)
        factor = suv_factor(frame.context.uptake).value
        assert factor is not None
        dataset = pydicom.dcmread(file.path, stop_before_pixels=True)
        tracer = dataset.RadiopharmaceuticalInformationSequence[0]
        start = datetime.strptime(  # noqa: DTZ007
            f"{dataset.SeriesDate}{dataset.SeriesTime[:6]}", "%Y%m%d%H%M%S"
        )
        administered = datetime.strptime(  # noqa: DTZ007
            f"{dataset.SeriesDate}{tracer.RadiopharmaceuticalStartTime[:6]}", "%Y%m%d%H%M%S"
        )
        left = tracer.RadionuclideTotalDose * 0.5 ** (
            (start - administered).total_seconds() / tracer.RadionuclideHalfLife
        )
        assert factor == pytest.approx(float(dataset.PatientWeight) * 1000 / left, rel=1e-3)
        assert 1 < frame.pixels.max() * factor < 40
        seen += 1
    assert seen
