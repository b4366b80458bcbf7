"""Phantoms become stored pixels: bits, sign, padding, windows, compression.

Belongs here: one function per kind of series. Headers are in `dicom_headers.py`; which file goes
where is in `dicom_files.py`.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless

from hc_assets.sample_data import dicom_headers as header
from hc_assets.sample_data import phantoms_ct, phantoms_mr, phantoms_us, phantoms_xray
from hc_assets.sample_data.phantoms import Image
from hc_assets.sample_data.seeded import pixel_stream
from hc_assets.sample_data.studies import Series, Study

_ENCODERS = {JPEGLSLossless: "pyjpegls", RLELossless: "pylibjpeg"}
_PADDING = -2000  # outside the round field of view, as stored
_TWELVE_BITS = 4095
_DENSEST = 8.0  # attenuation that a radiograph's highest value stands for
_DENSEST_BREAST = 4.6
_CT_FIELD_MM = 380.0
_MR_FIELD_MM = 230.0


def build_instance(seed: int, study: Study, series: Series, instance: int) -> Dataset:
    """Build one DICOM instance, compressed as its series' kind says.

    Args:
        seed: the sample's seed.
        study: the plan of its study.
        series: the plan of its series.
        instance: number in the series, from 1.
    """
    dataset = header.start_dataset(seed, study, series, instance)
    _BUILDERS[series.key](dataset, seed, study, series, instance)
    syntax = series.kind.transfer_syntax
    if syntax.is_compressed:
        dataset.compress(syntax, encoding_plugin=_ENCODERS[syntax], generate_instance_uid=False)
    return dataset


def _rng(seed: int, study: Study, series: Series, instance: int) -> np.random.Generator:
    return pixel_stream(seed, "pixels", study.number, series.number, instance)


def _height(series: Series, instance: int) -> float:
    return (instance - 0.5) / series.kind.instances


def _store(
    dataset: Dataset, pixels: npt.NDArray[np.integer], *, bits: int, photometric: str
) -> None:
    """Put pixels into a dataset: rows and columns, with frames before or samples after."""
    has_samples = photometric == "RGB"
    rows, columns = pixels.shape[-3:-1] if has_samples else pixels.shape[-2:]
    dataset.SamplesPerPixel = 3 if has_samples else 1
    dataset.PhotometricInterpretation = photometric
    if has_samples:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    data = pixels.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"


def _place_ct(dataset: Dataset, size: int, thickness_mm: float, instance: int) -> None:
    spacing = _CT_FIELD_MM / size
    corner = (-_CT_FIELD_MM + spacing) / 2
    z_mm = -120.0 + thickness_mm * (instance - 1)
    header.add_geometry(
        dataset,
        spacing_mm=round(spacing, 6),
        thickness_mm=thickness_mm,
        corner_mm=(corner, corner, z_mm),
    )


def _windows(dataset: Dataset, centers: list[int], widths: list[int]) -> None:
    dataset.WindowCenter = centers if len(centers) > 1 else centers[0]
    dataset.WindowWidth = widths if len(widths) > 1 else widths[0]


def _ct_chest(dataset: Dataset, seed: int, study: Study, series: Series, instance: int) -> None:
    """Signed and padded outside the field of view, with a window for soft tissue and for lung."""
    size = 512
    rng = _rng(seed, study, series, instance)
    hu = phantoms_ct.chest_slice(size, _height(series, instance), rng, noise_hu=11)
    stored = np.rint(hu + 1024).astype(np.int16)
    stored[phantoms_ct.outside_field(size)] = _PADDING
    header.add_ct(dataset, kernel="B41s", tube_current_ma=220)
    _place_ct(dataset, size, 3.0, instance)
    _store(dataset, stored, bits=16, photometric="MONOCHROME2")
    dataset.add_new(0x00280120, "SS", _PADDING)
    _windows(dataset, [40, -600], [400, 1500])


def _ct_abdomen(dataset: Dataset, seed: int, study: Study, series: Series, instance: int) -> None:
    """Unsigned, 12 bits, without padding."""
    rng = _rng(seed, study, series, instance)
    hu = phantoms_ct.abdomen_slice(256, _height(series, instance), rng, noise_hu=9)
    header.add_ct(dataset, kernel="B30f", tube_current_ma=240)
    _place_ct(dataset, 256, 5.0, instance)
    _store(dataset, _hu_in_twelve_bits(hu), bits=12, photometric="MONOCHROME2")
    _windows(dataset, [50], [350])


def _ct_noisy(dataset: Dataset, seed: int, study: Study, series: Series, instance: int) -> None:
    """A chest with far too little dose: noise and streaks drown the tissues."""
    rng = _rng(seed, study, series, instance)
    height = _height(series, instance)
    hu = phantoms_ct.chest_slice(256, height, rng, noise_hu=260, streaks=120)
    header.add_ct(dataset, kernel="B80s", tube_current_ma=10)
    _place_ct(dataset, 256, 1.0, instance)
    _store(dataset, _hu_in_twelve_bits(hu), bits=12, photometric="MONOCHROME2")
    _windows(dataset, [40], [400])


def _hu_in_twelve_bits(hu: Image) -> npt.NDArray[np.uint16]:
    stored: npt.NDArray[np.uint16] = np.clip(np.rint(hu + 1024), 0, _TWELVE_BITS).astype(np.uint16)
    return stored


def _mr(dataset: Dataset, seed: int, study: Study, series: Series, instance: int) -> None:
    size, spacing = 256, _MR_FIELD_MM / 256
    weighting: phantoms_mr.Weighting = "T1" if series.key == "mr_t1" else "T2"
    anatomy = pixel_stream(seed, "anatomy", study.number, instance)  # both series see one head
    rng = _rng(seed, study, series, instance)
    height = _height(series, instance)
    signal = phantoms_mr.head_slice(size, height, weighting, anatomy, rng, noise_level=16)
    times = (500.0, 12.0) if weighting == "T1" else (4000.0, 95.0)
    header.add_mr(dataset, repetition_ms=times[0], echo_ms=times[1])
    corner = (-_MR_FIELD_MM + spacing) / 2
    header.add_geometry(
        dataset,
        spacing_mm=round(spacing, 6),
        thickness_mm=5.0,
        corner_mm=(corner, corner, -30.0 + 6.0 * (instance - 1)),
    )
    dataset.SpacingBetweenSlices = 6.0
    stored = np.clip(np.rint(signal), 0, _TWELVE_BITS).astype(np.uint16)
    _store(dataset, stored, bits=12, photometric="MONOCHROME2")
    _windows(dataset, [700], [1400])


def _radiograph(attenuation: Image, densest: float) -> npt.NDArray[np.uint16]:
    """Values of 12 bits, bright where the body is dense."""
    share = np.clip(attenuation / densest, 0, 1)
    stored: npt.NDArray[np.uint16] = np.rint(share * (_TWELVE_BITS - 1)).astype(np.uint16)
    return stored


def _cr(dataset: Dataset, seed: int, study: Study, series: Series, instance: int) -> None:
    """MONOCHROME1: the highest value is the darkest, so air has the highest."""
    rng = _rng(seed, study, series, instance)
    header.add_projection(dataset, spacing_mm=0.4, view="PA", is_digital=False)
    if series.key == "cr_constant":
        stored = np.full((512, 512), 2048, np.uint16)  # a detector that saw nothing
    else:
        size = 1024 if series.key == "cr_chest" else 512
        attenuation = phantoms_xray.chest_attenuation(size, size, rng, photons=60_000)
        stored = (_TWELVE_BITS - _radiograph(attenuation, _DENSEST)).astype(np.uint16)
    _store(dataset, stored, bits=12, photometric="MONOCHROME1")
    _windows(dataset, [2048], [3600])


def _dx(dataset: Dataset, seed: int, study: Study, series: Series, instance: int) -> None:
    rng = _rng(seed, study, series, instance)
    is_lateral = instance == 2
    attenuation = phantoms_xray.chest_attenuation(
        1024, 1024, rng, photons=120_000, is_lateral=is_lateral
    )
    if series.key == "dx_blurred":
        attenuation = phantoms_xray.shaken(attenuation, 61)
    header.add_projection(
        dataset, spacing_mm=0.4, view="LL" if is_lateral else "PA", is_digital=True
    )
    _store(dataset, _radiograph(attenuation, _DENSEST), bits=12, photometric="MONOCHROME2")
    _windows(dataset, [2048], [3600])


def _mg(dataset: Dataset, seed: int, study: Study, series: Series, instance: int) -> None:
    rng = _rng(seed, study, series, instance)
    is_left = instance == 1
    attenuation = phantoms_xray.breast_attenuation(1152, 896, rng, is_left=is_left, photons=40_000)
    header.add_projection(dataset, spacing_mm=0.2, view="MLO", is_digital=True)
    header.add_mammogram(dataset, is_left=is_left)
    stored = _radiograph(attenuation, _DENSEST_BREAST)
    _store(dataset, stored, bits=12, photometric="MONOCHROME2")
    _windows(dataset, [2200], [2800])


def _us(dataset: Dataset, seed: int, study: Study, series: Series, instance: int) -> None:
    rng = _rng(seed, study, series, instance)
    frames = series.kind.frames
    if series.key == "us_color":
        pixels, photometric = phantoms_us.color_frames(360, 480, frames, rng), "RGB"
    else:
        pixels, photometric = phantoms_us.gray_frames(360, 480, frames, rng), "MONOCHROME2"
    _store(dataset, pixels, bits=8, photometric=photometric)
    header.add_ultrasound(dataset, spacing_mm=0.35, frames=frames)


def _sr(dataset: Dataset, _seed: int, study: Study, _series: Series, _instance: int) -> None:
    header.add_report(dataset, study.kind.conclusion, ["No comparison."])


_Builder = Callable[[Dataset, int, Study, Series, int], None]
_BUILDERS: dict[str, _Builder] = {
    "ct_chest": _ct_chest,
    "ct_abdomen": _ct_abdomen,
    "ct_noisy": _ct_noisy,
    "mr_t1": _mr,
    "mr_t2": _mr,
    "cr_chest": _cr,
    "cr_constant": _cr,
    "cr_truncated": _cr,
    "cr_bare": _cr,
    "sr_text": _sr,
    "dx_chest": _dx,
    "dx_blurred": _dx,
    "us_color": _us,
    "us_gray": _us,
    "mg_mlo": _mg,
}
