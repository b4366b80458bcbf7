from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.sample_data.analytes import ANALYTES
from hc_assets.sample_data.histories import make_history
from hc_assets.sample_data.patients import LAST_DAY, make_carers, make_people
from hc_assets.sample_data.physiology import GLUCOSE_MG_DL_PER_MMOL_L, filtration_rate
from hc_assets.sample_data.seeded import uid_of, uuid_of
from hc_assets.sample_data.studies import make_studies

seeds = st.integers(min_value=0, max_value=2**64)


@given(seeds, st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_nothing_happens_outside_a_life(seed, index):
    person = make_people(seed, index + 1)[index]
    history = make_history(seed, person)
    assert history.visits
    for visit in history.visits:
        assert person.birth_date < visit.start.date() <= visit.end.date() <= LAST_DAY
        assert visit.start < visit.end
        for problem in visit.found:
            assert person.birth_date < problem.onset <= visit.start.date()
            assert problem.abated is None or problem.onset < problem.abated <= LAST_DAY


@given(seeds, st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_drugs_are_for_problems_that_were_found_before(seed, index):
    history = make_history(seed, make_people(seed, index + 1)[index])
    found = set()
    for visit in history.visits:
        found |= {problem.id for problem in visit.found}
        for prescription in visit.prescriptions:
            assert prescription.problem.id in found
            assert prescription.rxnorm in prescription.problem.disease.drugs


@given(seeds, st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_values_are_those_of_living_people(seed, index):
    limits = {
        "systolic": (70, 220), "diastolic": (35, 130), "heart_rate": (40, 150),
        "temperature": (35, 41), "height": (80, 210), "weight": (9, 190), "bmi": (11, 50),
        "glucose": (50, 400), "hba1c": (3.5, 12), "creatinine": (0.3, 5), "egfr": (15, 150),
        "sodium": (125, 155), "potassium": (2.8, 6.5), "ldl": (30, 320), "hdl": (20, 110),
        "hemoglobin": (7, 20), "leukocytes": (2, 15), "platelets": (80, 500),
    }  # fmt: skip
    history = make_history(seed, make_people(seed, index + 1)[index])
    for visit in history.visits:
        for key, value in (visit.vitals | visit.labs).items():
            low, high = limits.get(key, (0, 1000))
            assert low <= value <= high, key
            assert -value.as_tuple().exponent == ANALYTES[key].digits


def test_values_that_hang_together_do(sample):
    labs = [
        (history.person, visit)
        for person in make_people(sample.summary.seed, sample.summary.patients)
        for history in [make_history(sample.summary.seed, person)]
        for visit in history.visits
        if visit.labs
    ]
    for person, visit in labs:
        values = visit.labs
        in_mmol = values["glucose"] / GLUCOSE_MG_DL_PER_MMOL_L
        assert abs(in_mmol - values["glucose_si"]) <= 0.005
        age = person.age_on(visit.start.date())
        rate = filtration_rate(float(values["creatinine"]), age, person.gender)
        assert abs(rate - float(values["egfr"])) <= 0.5
        friedewald = values["ldl"] + values["hdl"] + values["triglycerides"] / 5
        assert abs(friedewald - values["cholesterol"]) <= 2  # each is rounded by itself
        body = float(visit.vitals["weight"]) / (float(visit.vitals["height"]) / 100) ** 2
        assert abs(body - float(visit.vitals["bmi"])) <= 0.005


def test_diseases_move_the_values():
    """Over many people, so that chance does not decide."""
    sick, well = [], []
    for person in make_people(11, 150):
        history = make_history(11, person)
        onsets = {problem.key: problem.onset for visit in history.visits for problem in visit.found}
        for visit in history.visits:
            if "hba1c" in visit.labs:
                is_sick = onsets.get("diabetes", LAST_DAY) <= visit.start.date()
                (sick if is_sick else well).append(float(visit.labs["hba1c"]))
    assert len(sick) > 20
    assert len(well) > 20
    assert sum(sick) / len(sick) > 6.5 > sum(well) / len(well)


@pytest.mark.parametrize(
    ("creatinine", "age", "gender", "expected"),
    [
        (1.0, 50, "male", 92),
        (1.0, 50, "female", 69),
        (0.6, 30, "female", 124),
        (2.0, 70, "male", 35),
    ],
)
def test_filtration_rate_is_that_of_the_published_equation(creatinine, age, gender, expected):
    """Expected: the National Kidney Foundation's calculator for CKD-EPI 2021."""
    assert round(filtration_rate(creatinine, age, gender)) == expected


def test_people_do_not_depend_on_how_many_there_are():
    assert make_people(3, 4) == make_people(3, 9)[:4]


def test_ages_and_sexes_are_mixed():
    people = make_people(5, 24)
    ages = [person.age_on(LAST_DAY) for person in people]
    assert min(ages) < 18 < 60 < max(ages)
    assert 8 <= sum(person.gender == "female" for person in people) <= 16


@given(seeds)
@settings(max_examples=100)
def test_identifiers_keep_the_rules_of_their_kind(seed):
    uid = uid_of(seed, "study", 1)
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    assert not uid[5:].startswith("0")
    assert uuid_of(seed, "a")[14] == "4"
    assert uuid_of(seed, "a") != uuid_of(seed, "b")
    people = make_people(seed, 12)
    assert len({person.mrn for person in people}) == 12
    assert all(len(carer.npi) == 10 for carer in make_carers(seed))


@given(seeds, st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_studies_are_of_grown_people_and_mammograms_of_a_woman(seed, count):
    people = make_people(seed, count)
    for study in make_studies(seed, people):
        assert study.person in people
        assert study.person.age_on(study.start.date()) >= 18
        assert study.start.date() <= LAST_DAY - timedelta(days=1)
        if any(series.kind.modality == "MG" for series in study.series):
            assert study.person.gender == "female"
            assert study.person.age_on(study.start.date()) >= 40
