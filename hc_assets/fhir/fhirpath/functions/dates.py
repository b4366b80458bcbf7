"""FHIRPath functions on dates and times: the moment of the evaluation, the parts of a value.

Belongs here: `now` and its kin, `yearOf` to `timezoneOffsetOf`. Arithmetic on dates belongs to
`dates.py` of the folder above.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal

from hc_assets.fhir.fhirpath.equality import as_temporal
from hc_assets.fhir.fhirpath.errors import UndecidableError
from hc_assets.fhir.fhirpath.model import Collection, Item, Scope
from hc_assets.fhir.fhirpath.singletons import Function, single
from hc_assets.fhir.fhirpath.values import Temporal, parse_temporal

_DATE_FIELDS = 3


def _clock(scope: Scope, what: str) -> datetime:
    now = scope.environment.now
    if now is None:
        raise UndecidableError(f"{what} of an evaluation that has none")
    return now


def _now(scope: Scope, _: Collection) -> Collection:
    return [parse_temporal(_clock(scope, "the time").isoformat())]


def _today(scope: Scope, _: Collection) -> Collection:
    return [parse_temporal(_clock(scope, "the date").date().isoformat())]


def _time_of_day(scope: Scope, _: Collection) -> Collection:
    return [parse_temporal(_clock(scope, "the time").time().isoformat())]


def _part(take: Callable[[Temporal], Item | None]) -> Callable[[Scope, Collection], Collection]:
    def apply(_: Scope, items: Collection) -> Collection:
        item = single(items)
        moment = None if item is None else as_temporal(item)
        part = None if moment is None else take(moment)
        return [] if part is None else [part]

    return apply


def _field(position: int) -> Callable[[Temporal], int | None]:
    """The field of a date with time that stands at a position, as a whole number."""

    def take(moment: Temporal) -> int | None:
        at = position - _DATE_FIELDS if moment.is_time else position
        return int(moment.written[at]) if 0 <= at < len(moment.written) else None

    return take


def _millisecond(moment: Temporal) -> int | None:
    second = moment.written[-1]
    is_second = len(moment.written) == (_DATE_FIELDS if moment.is_time else 2 * _DATE_FIELDS)
    if not is_second or not int(Decimal(second).as_tuple().exponent):
        return None
    return int(second % 1 * 1000)


def _offset(moment: Temporal) -> Decimal | None:
    return Decimal(moment.offset) / 60 if moment.is_zoned else None


def _date(moment: Temporal) -> Temporal | None:
    return None if moment.is_time else Temporal(False, moment.written[:_DATE_FIELDS], False)


def _time(moment: Temporal) -> Temporal | None:
    clock = moment.written if moment.is_time else moment.written[_DATE_FIELDS:]
    return Temporal(True, clock, False) if clock else None


_PARTS: dict[str, Callable[[Temporal], Item | None]] = {
    "yearOf": _field(0),
    "monthOf": _field(1),
    "dayOf": _field(2),
    "hourOf": _field(3),
    "minuteOf": _field(4),
    "secondOf": _field(5),
    "millisecondOf": _millisecond,
    "timezoneOffsetOf": _offset,
    "dateOf": _date,
    "timeOf": _time,
}

# Functions that give a collection.
VALUES: Mapping[str, Function] = {
    "now": Function(0, 0, _now),
    "today": Function(0, 0, _today),
    "timeOfDay": Function(0, 0, _time_of_day),
    **{name: Function(0, 0, _part(take)) for name, take in _PARTS.items()},
}
