"""Random patients and observations, of the values that searches can tell apart or confuse."""

import json
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

Resource = dict[str, Any]
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
