"""Who the made-up patients are: names, births, sexes, addresses, numbers.

Belongs here: what is so of a person from the day of birth, and the people and houses that care for
them. What happens to a person is in `histories.py`.
"""

import random
from dataclasses import dataclass
from datetime import date, timedelta

from hc_assets.sample_data.seeded import stream, uuid_of

LAST_DAY = date(2025, 12, 31)  # nothing in the sample happens later; no clock is read
IMAGED_PERSON = 0  # always a woman of 50 to 70, so that every kind of image has someone to be of

_GIVEN_F = (
    "Amelia", "Beatriz", "Chloe", "Dolores", "Esther", "Fatima", "Grace", "Hana", "Ines", "Zoë",
    "Keiko", "Lucía", "Mei", "Ngọc", "Oluchi", "Priya", "Renée", "Siobhán", "Tamika", "Željka",
)  # fmt: skip
_GIVEN_M = (
    "Aaron", "Björn", "Carlos", "Desmond", "Emeka", "Felix", "Gustavo", "Hiroshi", "Ivan", "José",
    "Kofi", "Liam", "Marek", "Nikhil", "Ömer", "Pablo", "Quentin", "Rafael", "Søren", "Tyrone",
)  # fmt: skip
_FAMILY = (
    "Abernathy", "Bergström", "Castañeda", "Delacroix", "Eze", "Fitzgerald", "García", "Hoàng",
    "Ishikawa", "Jørgensen", "Kowalczyk", "Łukasiewicz", "Müller", "Nakamura", "O'Connor", "Patel",
    "Quispe", "Rosenthal", "Šimić", "Thornbury", "Underwood", "Vásquez", "Whitfield", "Yıldız",  # noqa: RUF001 # a Turkish name
)  # fmt: skip
_STREETS = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Foundry", "Grove", "Harbor", "Mill")
_SUFFIXES = ("Street", "Avenue", "Lane", "Court", "Road")
_TOWNS = (
    ("Ashgrove", "MA", "01299"), ("Millbrook Falls", "MA", "02799"), ("Port Ellery", "RI", "02999"),
    ("Saint Orla", "NH", "03899"), ("Tansy Hollow", "VT", "05999"), ("Westmere", "CT", "06999"),
)  # fmt: skip
_RACES = (
    ("2106-3", "White", 0.6),
    ("2054-5", "Black or African American", 0.2),
    ("2028-9", "Asian", 0.2),
)
_MARITAL = (("M", "Married", 0.5), ("S", "Never Married", 0.35), ("D", "Divorced", 0.15))


@dataclass(frozen=True)
class Person:
    """A made-up patient.

    Attributes:
        index: from 0; the seed and it say everything else.
        id: Patient.id, and the PatientID of the person's DICOM files.
        mrn: medical record number, an identifier of the first organization.
        gender: FHIR administrative gender, `female` or `male`.
        marital: code and display of v3-MaritalStatus; None for children.
        race: code and display of the OMB category.
        frailty: 0 to 1; how readily chronic diseases strike.
    """

    index: int
    id: str
    mrn: str
    gender: str
    given: str
    middle: str
    family: str
    birth_date: date
    street: str
    city: str
    state: str
    postal_code: str
    phone: str
    marital: tuple[str, str] | None
    race: tuple[str, str]
    frailty: float

    def age_on(self, day: date) -> float:
        """Age in years on a day."""
        return (day - self.birth_date).days / 365.2425


@dataclass(frozen=True)
class Carer:
    """A practitioner: family and given name, a made-up NPI."""

    id: str
    npi: str
    family: str
    given: str
    gender: str


@dataclass(frozen=True)
class House:
    """An organization that cares for patients."""

    id: str
    name: str
    street: str
    city: str
    state: str
    postal_code: str
    phone: str


def make_people(seed: int, count: int) -> list[Person]:
    """Make `count` people; the first n of them are the same whatever the count.

    Raises:
        ValueError: `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"a sample has at least one patient, not {count}")
    return [_person(seed, index) for index in range(count)]


def _person(seed: int, index: int) -> Person:
    draw = stream(seed, "person", index)
    age = 50 + 20 * draw.random() if index == IMAGED_PERSON else _age(draw, index)
    gender = "female" if (index + index // 6) % 2 == 0 else "male"  # both in every age group
    given_names = _GIVEN_F if gender == "female" else _GIVEN_M
    given, middle = draw.sample(given_names, 2)
    city, state, postal_code = draw.choice(_TOWNS)
    code, display, _ = draw.choices(_RACES, [race[2] for race in _RACES])[0]
    marital = draw.choices(_MARITAL, [status[2] for status in _MARITAL])[0]
    return Person(
        index=index,
        id=uuid_of(seed, "patient", index),
        mrn=f"MRN{100_000 + index * 7919 % 900_000:06d}",
        gender=gender,
        given=given,
        middle=middle,
        family=draw.choice(_FAMILY),
        birth_date=LAST_DAY - timedelta(days=round(age * 365.2425)),
        street=f"{draw.randrange(1, 990)} {draw.choice(_STREETS)} {draw.choice(_SUFFIXES)}",
        city=city,
        state=state,
        postal_code=postal_code,
        phone=f"555-01{draw.randrange(100):02d}",  # 555-0100 to 555-0199 are set aside for fiction
        marital=marital[:2] if age >= 18 else None,
        race=(code, display),
        frailty=1.0 if index == IMAGED_PERSON else draw.random(),
    )


def _age(draw: random.Random, index: int) -> float:
    """Spread ages so that even a small sample has children, adults and the old."""
    low, high = ((62, 88), (30, 55), (8, 17), (45, 75), (18, 35), (50, 80))[index % 6]
    return low + (high - low) * draw.random()


def make_houses(seed: int) -> list[House]:
    """Make the two organizations; the first gives out the medical record numbers."""
    return [
        House(
            uuid_of(seed, "organization", 0), "Ellery Bay Medical Center", "1 Lighthouse Way",
            "Port Ellery", "RI", "02999", "555-0150",
        ),
        House(
            uuid_of(seed, "organization", 1), "Tansy Hollow Family Practice", "12 Mill Road",
            "Tansy Hollow", "VT", "05999", "555-0160",
        ),
    ]  # fmt: skip


def make_carers(seed: int) -> list[Carer]:
    """Make the four practitioners."""
    carers = []
    for index in range(4):
        draw = stream(seed, "practitioner", index)
        gender = draw.choice(("female", "male"))
        carers.append(
            Carer(
                id=uuid_of(seed, "practitioner", index),
                npi=f"99999{draw.randrange(100_000):05d}",
                family=draw.choice(_FAMILY),
                given=draw.choice(_GIVEN_F if gender == "female" else _GIVEN_M),
                gender=gender,
            )
        )
    return carers
