"""Random parameters of searches, and what plain Python says they find.

What a search means is written here once more, from R4's chapter Search, over JSON as it stands:
nothing of the package is used.
"""

import calendar
import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from urllib.parse import quote

from hc_assets_tests.fhir.search.random_resources import (
    CODES,
    DATES,
    NAMES,
    NUMBERS,
    SYSTEMS,
    UCUM,
    UNITS,
    Resource,
)

Test = Callable[[Resource], bool]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """One parameter of a search.

    Attributes:
        text: as it stands in the search.
        holds: whether a resource is found by it.
    """

    text: str
    holds: Test


def escaped(text: str) -> str:
    """A value with its backslashes."""
    for each in "\\,$|":
        text = text.replace(each, f"\\{each}")
    return text


def any_of(chance: random.Random, name: str, one: Callable[[], tuple[str, Test]]) -> Asked:
    """A parameter with one value, or several with commas."""
    values = [one() for _ in range(chance.choice([1, 1, 2]))]
    text = ",".join(each for each, _ in values)
    return Asked(f"{name}={quote(text)}", lambda r: any(holds(r) for _, holds in values))


def codes(resource: Resource) -> list[tuple[str | None, str]]:
    """System and code of each coding."""
    found = resource.get("code", {}).get("coding", [])
    return [(each.get("system"), each["code"]) for each in found]


def token(chance: random.Random) -> Asked:
    """One of the four forms, or what is not one of them."""

    def one() -> tuple[str, Test]:
        system, code = chance.choice(SYSTEMS), chance.choice(CODES)
        form = chance.randrange(3)
        if form == 0:
            return escaped(code), lambda r: any(c == code for _, c in codes(r))
        if form == 1 and system:
            return f"{system}|", lambda r: any(s == system for s, _ in codes(r))
        return f"{system or ''}|{escaped(code)}", lambda r: (system, code) in codes(r)

    found = any_of(chance, "code", one)
    if chance.random() < 0.25:
        text = found.text.replace("code=", "code:not=", 1)
        return Asked(text, lambda r: not found.holds(r))
    return found


def folded(text: str) -> str:
    """Without case, accents and more than one space."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in parts if not unicodedata.combining(c)).split())


def family(chance: random.Random) -> Asked:
    """The beginning of a name, a part of it, or all of it."""
    modifier = chance.choice(["", ":exact", ":contains"])

    def one() -> tuple[str, Test]:
        name = chance.choice(NAMES)
        asked = name if modifier == ":exact" else name[chance.randrange(2) : 4]
        match modifier:
            case ":exact":
                return asked, lambda r: any(n["family"] == asked for n in r.get("name", []))
            case ":contains":
                return asked, lambda r: any(
                    folded(asked) in folded(n["family"]) for n in r.get("name", [])
                )
        return asked, lambda r: any(
            folded(n["family"]).startswith(folded(asked)) for n in r.get("name", [])
        )

    return any_of(chance, f"family{modifier}", one)


def span(text: str) -> tuple[datetime, datetime]:
    """The first moment of a time, and the first after it."""
    date, _, clock = text.partition("T")
    numbers = [int(part) for part in date.split("-")]
    if not clock:
        year, month, day = [*numbers, 1, 1][:3] if len(numbers) < 3 else numbers
        low = datetime(year, month, day, tzinfo=UTC)
        if len(numbers) == 1:
            return low, datetime(year + 1, 1, 1, tzinfo=UTC)
        days = calendar.monthrange(year, month)[1] if len(numbers) == 2 else 1
        return low, low + timedelta(days=days)
    zone = UTC
    if clock[-6] in "+-":
        sign = -1 if clock[-6] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(clock[-5:-3]), minutes=int(clock[-2:])))
    seconds = clock.rstrip("Z") if clock.endswith("Z") else clock[:-6]
    hour, minute, second = seconds.split(":")
    whole, _, part = second.partition(".")
    low = datetime(*numbers, int(hour), int(minute), int(whole), tzinfo=zone)  # type: ignore[misc]
    low += timedelta(microseconds=int(part.ljust(6, "0")) if part else 0)
    return low, low + timedelta(microseconds=10 ** (6 - len(part)))


FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def times(resource: Resource) -> list[tuple[datetime, datetime]]:
    """When an observation or a birth was."""
    if (text := resource.get("effectiveDateTime") or resource.get("birthDate")) is not None:
        return [span(text)]
    if (period := resource.get("effectivePeriod")) is not None:
        low = span(period["start"])[0] if "start" in period else FIRST
        return [(low, span(period["end"])[1] if "end" in period else LAST)]
    return []


def in_time(prefix: str, low: datetime, high: datetime, asked: tuple[datetime, datetime]) -> bool:
    """R4's table of what prefixes mean for two intervals."""
    first, after = asked
    within = first <= low and high <= after
    match prefix:
        case "" | "eq":
            return within
        case "ne":
            return not within
        case "gt":
            return high > after
        case "lt":
            return low < first
        case "ge":
            return high > after or within
        case "le":
            return low < first or within
        case "sa":
            return low >= after
    return high <= first


def date(chance: random.Random, name: str) -> Asked:
    """A time with a prefix."""

    def one() -> tuple[str, Test]:
        prefix, text = chance.choice(PREFIXES), chance.choice(DATES)
        asked = span(text)
        return f"{prefix}{text}", lambda r: any(in_time(prefix, *at, asked) for at in times(r))

    return any_of(chance, name, one)


def in_number(prefix: str, value: Resource, text: str, factor: Fraction) -> bool:
    """What prefixes mean for a number, and for one that a comparator leaves open."""
    number = Fraction(value["value"]) * factor
    asked = Fraction(text)
    digits = len(text.partition(".")[2])
    half = Fraction(1, 2 * 10**digits)
    comparator = value.get("comparator")
    if comparator == "<":  # any number below
        return {
            **dict.fromkeys(("", "eq"), False),
            "ne": True,
            "gt": number > asked,
            "ge": number > asked,
            "lt": True,
            "le": True,
            "sa": False,
            "eb": number <= asked,
        }[prefix]
    if comparator == ">":  # any number above
        return {
            **dict.fromkeys(("", "eq"), False),
            "ne": True,
            "gt": True,
            "ge": True,
            "lt": number < asked,
            "le": number <= asked,
            "sa": number > asked,
            "eb": False,
        }[prefix]
    within = asked - half <= number < asked + half
    return {
        **dict.fromkeys(("", "eq"), within),
        "ne": not within,
        "gt": number > asked,
        "lt": number < asked,
        "ge": number >= asked,
        "le": number <= asked,
        "sa": number > asked,
        "eb": number < asked,
    }[prefix]


def value_quantity(chance: random.Random) -> Asked:
    """A number, with a unit of UCUM or any."""

    def one() -> tuple[str, Test]:
        prefix, text = chance.choice(PREFIXES), chance.choice(NUMBERS)
        if chance.random() < 0.4:

            def plain(resource: Resource) -> bool:
                value = resource.get("valueQuantity")
                return value is not None and in_number(prefix, value, text, Fraction(1))

            return f"{prefix}{text}", plain
        unit = chance.choice(list(UNITS))

        def converted(resource: Resource) -> bool:
            value = resource.get("valueQuantity")
            if value is None or "code" not in value:
                return False
            return in_number(prefix, value, text, UNITS[value["code"]] / UNITS[unit])

        return f"{prefix}{text}|{UCUM}|{unit}", converted

    return any_of(chance, "value-quantity", one)


def missing(chance: random.Random, code: str, member: str) -> Asked:
    """Whether there is any value."""
    wanted = chance.choice([True, False])
    text = f"{code}:missing={str(wanted).lower()}"
    return Asked(text, lambda r: (member in r) != wanted)


def own_patient(resource: Resource) -> str | None:
    """Id of the patient that an observation refers to, where it is one of this server."""
    reference = resource["subject"]["reference"]
    return reference.removeprefix("Patient/") if reference.startswith("Patient/") else None
