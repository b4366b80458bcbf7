"""A world of random resources, random searches on it, and what they should find."""

import random
from fractions import Fraction
from urllib.parse import quote

from hc_assets_tests.fhir.search.asked import (
    PREFIXES,
    Asked,
    codes,
    date,
    escaped,
    family,
    in_number,
    missing,
    own_patient,
    token,
    value_quantity,
)
from hc_assets_tests.fhir.search.random_resources import (
    CODES,
    NUMBERS,
    Resource,
    observation,
    patient,
)


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
