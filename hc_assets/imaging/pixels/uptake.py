"""What a header says about a tracer: dose, decay and weight, for standardised uptake values (SUV).

Belongs here: reading those. What follows from them is in `imaging/preprocessing/suv.py`.
"""

from dataclasses import dataclass
from datetime import datetime

from hc_assets.imaging.headers.elements import Elements, MalformedValueError

_TRACERS = 0x00540016
_PHILIPS = "PHILIPS PET PRIVATE GROUP"


@dataclass(frozen=True)
class Uptake:
    """Attributes of PS3.3 C.8.9.1 and C.8.9.2 that SUV depend on; None or "" where absent.

    Attributes:
        units: (0054,1001), upper case.
        suv_type: (0054,1006), upper case.
        decay_correction: (0054,1102): START, ADMIN or NONE.
        corrections: CorrectedImage, such as ATTN and DECY.
        weight: PatientWeight, kg.
        dose: RadionuclideTotalDose, Bq.
        half_life: RadionuclideHalfLife, s.
        injected_at: RadiopharmaceuticalStartDateTime, else the time of day on the series' date.
        is_injection_dated: whether the date was sent with it.
        series_at: SeriesDate and SeriesTime.
        acquired_at: AcquisitionDate and AcquisitionTime.
        philips_suv_scale: (7053,1000) of Philips' private group.
    """

    units: str = ""
    suv_type: str = ""
    decay_correction: str = ""
    corrections: tuple[str, ...] = ()
    weight: float | None = None
    dose: float | None = None
    half_life: float | None = None
    injected_at: datetime | None = None
    is_injection_dated: bool = False
    series_at: datetime | None = None
    acquired_at: datetime | None = None
    philips_suv_scale: float | None = None


def read_uptake(dataset: Elements) -> Uptake:
    """Read what SUV depend on; what is malformed counts as absent (`headers/read.py` notes it)."""
    tracers = _items(dataset, _TRACERS)
    # With several tracers in one image it is unknown whose uptake a voxel shows
    tracer = tracers[0] if len(tracers) == 1 else None
    series_date = _text(dataset, 0x00080021)
    injected_at, is_dated = _injection(tracer, series_date) if tracer else (None, False)
    return Uptake(
        units=_text(dataset, 0x00541001).upper(),
        suv_type=_text(dataset, 0x00541006).upper(),
        decay_correction=_text(dataset, 0x00541102).upper(),
        corrections=tuple(str(each).upper() for each in _values(dataset, 0x00280051)),
        weight=_number(dataset, 0x00101030),
        dose=_number(tracer, 0x00181074) if tracer else None,
        half_life=_number(tracer, 0x00181075) if tracer else None,
        injected_at=injected_at,
        is_injection_dated=is_dated,
        series_at=_moment(series_date, _text(dataset, 0x00080031)),
        acquired_at=_moment(_text(dataset, 0x00080022), _text(dataset, 0x00080032)),
        philips_suv_scale=_philips(dataset),
    )


def _injection(tracer: Elements, series_date: str) -> tuple[datetime | None, bool]:
    dated = _text(tracer, 0x00181078)
    # An offset from UTC would need that of the series, which is rarely sent: local times compare
    if dated and (found := _moment(dated[:8], dated[8:].partition("+")[0].partition("-")[0])):
        return found, True
    return _moment(series_date, _text(tracer, 0x00181072)), False


def _moment(date: str, time: str) -> datetime | None:
    """A date (DA) and a time (TM, to the second at least) as one; None where either is not one."""
    whole, _, fraction = time.replace(":", "").partition(".")
    try:
        moment = datetime.strptime(f"{date.replace('.', '')}{whole}", "%Y%m%d%H%M%S")  # noqa: DTZ007
        return moment.replace(microsecond=int(fraction[:6].ljust(6, "0")) if fraction else 0)
    except ValueError:
        return None


def _philips(dataset: Elements) -> float | None:
    for tag in range(0x70530010, 0x70530100):
        if tag in dataset and _text(dataset, tag).upper() == _PHILIPS:
            return _number(dataset, 0x70530000 | (tag & 0xFF) << 8)
    return None


def _values(elements: Elements, tag: int) -> list[object]:
    try:
        return list(elements.values(tag))
    except MalformedValueError:
        return []


def _text(elements: Elements, tag: int) -> str:
    return next((str(value) for value in _values(elements, tag) if value), "")


def _number(elements: Elements, tag: int) -> float | None:
    for value in _values(elements, tag):
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, bytes | str):
            return _parsed(value)
    return None


def _parsed(value: bytes | str) -> float | None:
    """A number in a private element that came without its VR."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    try:
        return float(text.strip("\0 "))
    except ValueError:
        return None


def _items(elements: Elements, tag: int) -> list[Elements]:
    try:
        return list(elements.items(tag))
    except MalformedValueError:
        return []
