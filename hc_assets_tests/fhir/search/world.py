"""Random resources, random searches on them, and what plain Python says should be found.

What a search means is written here once more, from R4's chapter Search, over JSON as it stands:
nothing of the package is used.
"""

import calendar
import json
import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import quote

Resource = dict[str, Any]
Test = Callable[[Resource], bool]
UCUM = "http://unitsofmeasure.org"
# In grams per cubic metre.
UNITS = {"mg/dL": Fraction(10), "g/L": Fraction(1000), "g/dL": Fraction(10_000)}
SYSTEMS = ["http://a", "http://b", None]
CODES = ["x", "y", "X", "x|y", "a,b", "c$d"]
NAMES = ["Müller", "muller", "MULLER-Otto", "Ång", "ang", "Weiß", "O'Neil", "van  der Berg"]
DATES = [
    *("2019", "2020", "2020-02", "2020-02-29", "2020-03-01", "2020-03-01T00:00:00Z"),
    *("2020-02-29T23:30:00-01:00", "2020-02-29T12:30:15.250+02:00", "2020-12-31", "2021-01"),
]
NUMBERS = ["5.4", "5.40", "5.35", "5.45", "5", "54", "-1.0", "0", "0.0054", "100", "540"]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def coding(chance: random.Random) -> dict[str, str]:
    """A coding, with or without a system."""
    system = chance.choice(SYSTEMS)
    made = {"code": chance.choice(CODES), "display": chance.choice(NAMES)}
    return made | ({"system": system} if system else {})


def patient(chance: random.Random, number: int) -> Resource:
    """A patient."""
    made: Resource = {"resourceType": "Patient", "id": f"p{number}"}
    if chance.random() < 0.8:
        made["gender"] = chance.choice(["male", "female"])
    if chance.random() < 0.8:
        made["birthDate"] = chance.choice([d for d in DATES if "T" not in d])
    names = [
        {"family": chance.choice(NAMES), "given": [chance.choice(NAMES)]}
        for _ in range(chance.randrange(3))
    ]
    return made | ({"name": names} if names else {})


def observation(chance: random.Random, number: int, patients: int) -> Resource:
    """An observation on one of the patients, or on somebody else's."""
    made: Resource = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": chance.choice(["final", "amended"]),
        "code": {"coding": [coding(chance) for _ in range(1 + chance.randrange(2))]},
    }
    who = chance.randrange(patients + 2)
    made["subject"] = {
        "reference": f"Patient/p{who}" if chance.random() < 0.9 else f"http://h/Patient/p{who}"
    }
    when = chance.random()
    if when < 0.6:
        made["effectiveDateTime"] = chance.choice(DATES)
    elif when < 0.8:
        ends = sorted(chance.sample(["2019-05-01", "2020-02-29", "2020-06", "2021"], 2))
        period = dict(zip(("start", "end"), ends, strict=True))
        period.pop(chance.choice(["start", "end", "none"]), None)
        made["effectivePeriod"] = period
    if chance.random() < 0.8:
        made["valueQuantity"] = quantity(chance)
    return made


def quantity(chance: random.Random) -> dict[str, Any]:
    """A quantity with or without a unit of UCUM."""
    made: dict[str, Any] = {"value": Decimal(chance.choice(NUMBERS))}
    if chance.random() < 0.8:
        made |= {"system": UCUM, "code": chance.choice(list(UNITS))}
    if chance.random() < 0.15:
        made["comparator"] = chance.choice(["<", ">"])
    return made


def as_bytes(resource: Resource) -> bytes:
    """A resource as JSON, its numbers digit for digit."""
    marks: list[Decimal] = []

    def mark(value: object) -> str:
        assert isinstance(value, Decimal)
        marks.append(value)
        return f"@{len(marks) - 1}@"

    text = json.dumps(resource, default=mark, ensure_ascii=False)
    for number, value in enumerate(marks):
        text = text.replace(f'"@{number}@"', str(value))
    return text.encode()


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


class World:
    """Resources, and searches on them."""

    def __init__(self, seed: int, patients: int = 12, observations: int = 50) -> None:
        """Make them up.

        Args:
            seed: what they follow from.
            patients: how many.
            observations: how many.
        """
        self.chance = random.Random(seed)  # noqa: S311 - the same every time
        self.patients = [patient(self.chance, n) for n in range(patients)]
        made = [observation(self.chance, n, patients) for n in range(observations)]
        self.observations = made
        self.all = [*self.patients, *self.observations]
        self.chance.shuffle(self.all)

    def of_patient(self) -> Asked:
        """Something that is asked of patients."""
        chance = self.chance
        return chance.choice(
            [
                lambda: family(chance),
                lambda: date(chance, "birthdate"),
                lambda: missing(chance, "name", "name"),
                lambda: missing(chance, "birthdate", "birthDate"),
                lambda: Asked("gender=female", lambda r: r.get("gender") == "female"),
                self._has,
            ]
        )()

    def of_observation(self) -> Asked:
        """Something that is asked of observations."""
        chance = self.chance
        return chance.choice(
            [
                lambda: token(chance),
                lambda: date(chance, "date"),
                lambda: value_quantity(chance),
                lambda: missing(chance, "value-quantity", "valueQuantity"),
                self._subject,
                self._chain,
                self._composite,
            ]
        )()

    def _subject(self) -> Asked:
        who = f"p{self.chance.randrange(len(self.patients))}"
        own = f"Patient/{who}"
        name, text = self.chance.choice(
            [
                *(("subject", own), ("subject", who), ("patient", who)),
                ("subject:Patient", who),
            ]
        )
        return Asked(f"{name}={text}", lambda r: r["subject"]["reference"] == own)

    def _chain(self) -> Asked:
        asked = self.of_patient()
        found = {each["id"] for each in self.patients if asked.holds(each)}
        name = self.chance.choice(["subject:Patient", "patient"])
        return Asked(f"{name}.{asked.text}", lambda r: own_patient(r) in found)

    def _has(self) -> Asked:
        asked = token(self.chance)
        found = {own_patient(each) for each in self.observations if asked.holds(each)}
        return Asked(f"_has:Observation:patient:{asked.text}", lambda r: r["id"] in found)

    def _composite(self) -> Asked:
        code, text = self.chance.choice(CODES), self.chance.choice(NUMBERS)
        prefix = self.chance.choice(PREFIXES)

        def holds(resource: Resource) -> bool:
            value = resource.get("valueQuantity")
            has_code = any(c == code for _, c in codes(resource))
            return value is not None and has_code and in_number(prefix, value, text, Fraction(1))

        asked = quote(f"{escaped(code)}${prefix}{text}")
        return Asked(f"code-value-quantity={asked}", holds)

    def search(self) -> tuple[str, list[str]]:
        """A search, and the ids that it should find, sorted."""
        type_ = self.chance.choice(["Patient", "Observation", "Observation"])
        one = self.of_patient if type_ == "Patient" else self.of_observation
        asked = [one() for _ in range(1 + self.chance.randrange(3))]
        found = [
            each["id"]
            for each in self.all
            if each["resourceType"] == type_ and all(a.holds(each) for a in asked)
        ]
        return f"{type_}?{'&'.join(a.text for a in asked)}", sorted(found)
