"""What happens to a made-up person: diseases, visits, measurements, prescriptions.

Belongs here: the order of events, all inside a person's life. How an event looks in FHIR is in
`fhir_resources.py` and `observations.py`.
"""

import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

from hc_assets.sample_data.codes import ACUTE, CHRONIC, OBESITY, Disease
from hc_assets.sample_data.patients import LAST_DAY, Person
from hc_assets.sample_data.physiology import Body, grown_body, laboratory, vital_signs
from hc_assets.sample_data.seeded import stream, uuid_of

LOCAL_TIME = timezone(timedelta(hours=-5))
_YEARS = range(LAST_DAY.year - 4, LAST_DAY.year + 1)
_GROWN = 18
_MINUTES = {"checkup": 30, "followup": 20, "problem": 15}


@dataclass(frozen=True)
class Problem:
    """A disease of a person; `abated` is None while it lasts."""

    id: str
    key: str
    disease: Disease
    onset: date
    abated: date | None = None


@dataclass(frozen=True)
class Prescription:
    """A drug prescribed at a visit, for a problem; `is_over` where its course has ended."""

    id: str
    rxnorm: str
    problem: Problem
    is_over: bool


@dataclass
class Visit:
    """A visit and what came of it.

    Attributes:
        id: Encounter.id.
        kind: key of `VISIT_KINDS`.
        start: local time with its offset.
        end: the same.
        carer: number of the practitioner.
        reason: what the visit was for, where it was for a problem.
        vitals: by key of `ANALYTES`.
        labs: the same; empty where no blood was taken.
        found: problems first recorded here.
        prescriptions: drugs prescribed here.
    """

    id: str
    kind: str
    start: datetime
    end: datetime
    carer: int
    reason: Problem | None = None
    vitals: dict[str, Decimal] = field(default_factory=dict)
    labs: dict[str, Decimal] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)
    prescriptions: list[Prescription] = field(default_factory=list)


@dataclass(frozen=True)
class History:
    """A person and the visits of the last five years, by time."""

    person: Person
    smoking: tuple[str, str]
    visits: list[Visit]


def make_history(seed: int, person: Person) -> History:
    """Make what happened to a person; the same for the same seed and person."""
    draw = stream(seed, "history", person.index)
    body = grown_body(person.gender, draw)
    chronic = _chronic_problems(seed, person, body, draw)
    visits = [
        visit
        for year in _YEARS
        for visit in _visits_of_year(seed, person, chronic, year, draw)
        if person.birth_date < visit.start.date() <= LAST_DAY
    ]
    visits.sort(key=lambda visit: visit.start)
    _record_problems(visits, chronic)
    for visit in visits:
        _measure(visit, person, body, chronic, draw)
        _prescribe(seed, visit, chronic)
    smoking = ("266919005", "Never smoker")
    if person.age_on(LAST_DAY) >= _GROWN:
        smoking = draw.choice((smoking, smoking, ("8517006", "Former smoker")))
    return History(person, smoking, visits)


def _chronic_problems(seed: int, person: Person, body: Body, draw: random.Random) -> list[Problem]:
    problems = []
    age = person.age_on(LAST_DAY)
    for key, disease in CHRONIC.items():
        years = age - disease.from_age
        share = min(years / max(80 - disease.from_age, 1), 1)
        luck = draw.random()  # drawn for all, so that a change in one disease moves no other
        onset_share = draw.random()
        if years <= 0 or luck > disease.chance * share * (0.4 + 1.2 * person.frailty):
            continue
        onset = LAST_DAY - timedelta(days=round(years * onset_share * 365))
        problems.append(Problem(uuid_of(seed, "problem", person.index, key), key, disease, onset))
    if age >= _GROWN and body.bmi >= 30:
        grown = person.birth_date + timedelta(days=round(_GROWN * 365.2425))
        problem = uuid_of(seed, "problem", person.index, "obesity")
        problems.append(Problem(problem, "obesity", OBESITY, grown))
    return sorted(problems, key=lambda problem: problem.onset)


def _visits_of_year(
    seed: int, person: Person, chronic: list[Problem], year: int, draw: random.Random
) -> list[Visit]:
    """Plan a check-up, a follow-up where a disease lasts, and now and then an illness."""
    visits = [_visit(seed, person, "checkup", _moment(year, draw), draw)]
    lasting = [problem for problem in chronic if problem.onset < date(year, 1, 1)]
    if lasting:
        followup = _visit(seed, person, "followup", _moment(year, draw), draw)
        followup.reason = draw.choice(lasting)
        visits.append(followup)
    for key, disease in ACUTE.items():
        if draw.random() < disease.chance * 0.22:
            start = _moment(year, draw)
            onset = start.date() - timedelta(days=draw.randrange(1, 5))
            if onset <= person.birth_date or start.date() > LAST_DAY - timedelta(days=30):
                continue
            name = uuid_of(seed, "problem", person.index, key, year)
            abated = onset + timedelta(days=draw.randrange(7, 24))
            visit = _visit(seed, person, "problem", start, draw)
            visit.reason = Problem(name, key, disease, onset, abated)
            visits.append(visit)
    return visits


def _visit(seed: int, person: Person, kind: str, start: datetime, draw: random.Random) -> Visit:
    name = uuid_of(seed, "visit", person.index, kind, start.isoformat())
    end = start + timedelta(minutes=_MINUTES[kind] + draw.randrange(0, 15))
    return Visit(name, kind, start, end, draw.randrange(4))


def _moment(year: int, draw: random.Random) -> datetime:
    """A working day between 8 and 16 o'clock."""
    day = date(year, 1, 2) + timedelta(days=draw.randrange(360))
    day -= timedelta(days=max(day.weekday() - 4, 0))
    clock = time(draw.randrange(8, 16), draw.randrange(0, 60), draw.randrange(0, 60))
    return datetime.combine(day, clock, LOCAL_TIME)


def _record_problems(visits: list[Visit], chronic: list[Problem]) -> None:
    """Record each chronic problem at the first visit after it began, an acute one at its own."""
    for problem in chronic:
        after = [visit for visit in visits if visit.start.date() >= problem.onset]
        if after:
            after[0].found.append(problem)
    for visit in visits:
        if visit.kind == "problem" and visit.reason:
            visit.found.append(visit.reason)


def _measure(
    visit: Visit, person: Person, body: Body, chronic: list[Problem], draw: random.Random
) -> None:
    day = visit.start.date()
    age = person.age_on(day)
    diseases = {problem.key for problem in chronic if problem.onset <= day}
    fever = (
        visit.kind == "problem"
        and visit.reason is not None
        and visit.reason.key != ("sprained_ankle")
    )
    visit.vitals = vital_signs(age, body, diseases, fever=fever, draw=draw)
    if visit.kind == "checkup" and age >= _GROWN:
        visit.labs = laboratory(age, person.gender, body, diseases, draw)
        if not diseases & {"diabetes", "obesity", "hypertension"}:
            del visit.labs["hba1c"]


def _prescribe(seed: int, visit: Visit, chronic: list[Problem]) -> None:
    day = visit.start.date()
    problems = list(visit.found)
    if visit.kind == "checkup":  # what lasts is renewed once a year
        problems += [each for each in chronic if each.onset <= day and each not in problems]
    for problem in problems:
        for rxnorm in problem.disease.drugs:
            name = uuid_of(seed, "prescription", visit.id, problem.key, rxnorm)
            is_over = problem.abated is not None or day < LAST_DAY - timedelta(days=365)
            visit.prescriptions.append(Prescription(name, rxnorm, problem, is_over))
