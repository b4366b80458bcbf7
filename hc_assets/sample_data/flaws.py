"""Where the sample is wrong on purpose, and what should come of it.

Belongs here: what a flaw and an oddity are, and choosing the entries that get them. What each does
to a resource is in `flaw_kinds.py` and `oddities.py`; damaged DICOM is in `dicom_files.py`.
"""

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

from hc_assets.sample_data.fhir_files import Entry, FhirFile
from hc_assets.sample_data.observations import Resource

Outcome = Literal[
    "quarantined",  # FHIR: the entry must not be validated
    "warned",  # FHIR: valid, with a warning
    "unreadable",  # DICOM: no header
    "undecodable",  # DICOM: a header, and pixels that can't be read
    "no_pixels",  # DICOM: a header, and no pixels to be read
    "indexed",  # DICOM: odd, but all can be read
    "low_quality",  # DICOM: all can be read, and the quality gate should stop it
]


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong, and where.

    Attributes:
        id: which kind of flaw.
        file: relative to the sample's folder.
        position: entry or line, from 0, and 0 for a FHIR file that can't be parsed at all; None
            for DICOM.
        rule: what a validator should name; "" for DICOM.
        expression: FHIRPath of the place; "" where there is none.
        outcome: what should become of the entry or file.
    """

    id: str
    file: str
    position: int | None
    rule: str
    expression: str
    outcome: Outcome

    @property
    def makes_invalid(self) -> bool:
        """Whether the FHIR entry must be refused."""
        return self.outcome == "quarantined"


@dataclass(frozen=True)
class Oddity:
    """An entry that looks odd and is valid: it must pass."""

    id: str
    file: str
    position: int


@dataclass(frozen=True)
class Change:
    """A kind of flaw or oddity: what it does to a resource.

    Attributes:
        id: its name.
        resource_type: which resources it is for; "" for any.
        apply: changes a copy of the resource, or gives the bytes to stand for it.
        rule: what a validator should name; "" for an oddity.
        expression: FHIRPath of the place.
        suits: whether a resource can get it.
        limit: how often at most.
        lines_only: only for NDJSON, since it would break a whole bundle.
        outcome: what should become of the entry.
    """

    id: str
    resource_type: str
    apply: Callable[[Resource], bytes | None]
    rule: str = ""
    expression: str = ""
    suits: Callable[[Resource], bool] = lambda _: True
    limit: int = 1_000_000
    lines_only: bool = False
    outcome: Outcome = "quarantined"


Place = tuple[int, int]
"""Number of a file and of an entry in it."""


class Planter:
    """Chooses entries and changes them, none twice."""

    def __init__(
        self, files: Sequence[FhirFile], spared_patients: set[str], draw: random.Random
    ) -> None:
        """Take the files to change.

        Args:
            files: their entries are changed in place.
            spared_patients: ids of Patients that stay as they are, since images point to them.
            draw: where chance comes from.
        """
        self._files = files
        self._draw = draw
        self._free: dict[str, list[Place]] = {}
        for number, file in enumerate(files):
            for position, entry in enumerate(file.entries):
                if entry.resource["id"] not in spared_patients:
                    self._free.setdefault(entry.resource_type, []).append((number, position))

    def plant_oddities(self, changes: Sequence[Change]) -> list[Oddity]:
        """Apply each oddity to one entry, where there is one for it."""
        planted = ((change, self._plant(change)) for change in changes)
        return [
            Oddity(change.id, self._files[place[0]].name, place[1])
            for change, place in planted
            if place
        ]

    def plant_flaws(self, changes: Sequence[Change], count: int) -> list[Flaw]:
        """Apply flaws to `count` entries, each kind in turn, or to fewer if places run out."""
        flaws: list[Flaw] = []
        uses = dict.fromkeys((change.id for change in changes), 0)
        while len(flaws) < count:
            before = len(flaws)
            for change in changes:
                if len(flaws) == count or uses[change.id] == change.limit:
                    continue
                place = self._plant(change)
                if place:
                    uses[change.id] += 1
                    flaws.append(self._flaw(change, place))
            if len(flaws) == before:
                break
        return flaws

    def _flaw(self, change: Change, place: Place) -> Flaw:
        name = self._files[place[0]].name
        return Flaw(change.id, name, place[1], change.rule, change.expression, change.outcome)

    def _plant(self, change: Change) -> Place | None:
        places = self._free.get(change.resource_type, [])
        suitable = [
            place
            for place in places
            if not (change.lines_only and self._files[place[0]].is_bundle)
            and change.suits(self._entry(place).resource)
        ]
        if not suitable:
            return None
        place = self._draw.choice(suitable)
        places.remove(place)
        entry = self._entry(place)
        entry.resource = deepcopy(entry.resource)
        entry.raw = change.apply(entry.resource)
        return place

    def _entry(self, place: Place) -> Entry:
        return self._files[place[0]].entries[place[1]]
