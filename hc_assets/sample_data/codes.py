"""The few diseases, drugs and kinds of visit that made-up patients have, with their codes.

Belongs here: SNOMED CT, ICD-10-CM and RxNorm codes and how often and when a disease begins. What
is measured is in `analytes.py`; who gets what is in `histories.py`.
"""

from typing import Any, NamedTuple

SNOMED = "http://snomed.info/sct"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
HL7_CODES = "http://terminology.hl7.org/CodeSystem/"


def coding(system: str, code: str, display: str) -> dict[str, Any]:
    """Build a FHIR Coding."""
    return {"system": system, "code": code, "display": display}


def concept(system: str, code: str, display: str) -> dict[str, Any]:
    """Build a FHIR CodeableConcept with one coding and its text."""
    return {"coding": [coding(system, code, display)], "text": display}


class Disease(NamedTuple):
    """A disease and whom it strikes.

    Attributes:
        snomed: SNOMED CT code.
        icd10: ICD-10-CM code.
        display: what it is called.
        from_age: years; it doesn't begin earlier.
        chance: of an adult at 80 to have it; it grows evenly from `from_age`. Made up, of the
            order of what US surveys say.
        drugs: RxNorm codes of what is prescribed for it.
    """

    snomed: str
    icd10: str
    display: str
    from_age: int
    chance: float
    drugs: tuple[str, ...] = ()


class Drug(NamedTuple):
    """A drug as prescribed: its RxNorm name, and how it is taken."""

    display: str
    instruction: str
    times_a_day: int


CHRONIC = {
    "hypertension": Disease(
        "59621000", "I10", "Essential hypertension (disorder)", 32, 0.75, ("314076", "197361")
    ),
    "diabetes": Disease(
        "44054006", "E11.9", "Diabetes mellitus type 2 (disorder)", 36, 0.38, ("860975",)
    ),
    "hyperlipidemia": Disease("55822004", "E78.5", "Hyperlipidemia", 34, 0.60, ("312961",)),
    "asthma": Disease("195967001", "J45.909", "Asthma", 5, 0.20, ("745679", "895994")),
    "kidney_disease": Disease(
        "433144002", "N18.30", "Chronic kidney disease stage 3 (disorder)", 55, 0.30
    ),
    "anemia": Disease("271737000", "D64.9", "Anemia (disorder)", 16, 0.16, ("310325",)),
    "coronary_disease": Disease(
        "53741008", "I25.10", "Coronary Heart Disease", 52, 0.28, ("243670",)
    ),
    "knee_osteoarthritis": Disease(
        "239873007", "M17.9", "Osteoarthritis of knee", 48, 0.40, ("849574",)
    ),
}
OBESITY = Disease("162864005", "E66.9", "Body mass index 30+ - obesity (finding)", 18, 0.0)
ACUTE = {
    "pharyngitis": Disease("195662009", "J02.9", "Acute viral pharyngitis (disorder)", 2, 0.4),
    "bronchitis": Disease("10509002", "J20.9", "Acute bronchitis (disorder)", 5, 0.3, ("313782",)),
    "bacterial_sinusitis": Disease(
        "75498004", "J01.90", "Acute bacterial sinusitis (disorder)", 8, 0.2, ("308192",)
    ),
    "sprained_ankle": Disease("44465007", "S93.409A", "Sprain of ankle", 6, 0.1, ("310965",)),
}
DRUGS = {
    "314076": Drug("lisinopril 10 MG Oral Tablet", "one tablet a day", 1),
    "197361": Drug("Amlodipine 5 MG Oral Tablet", "one tablet a day", 1),
    "860975": Drug(
        "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet",
        "one tablet with breakfast, one with supper",
        2,
    ),
    "312961": Drug("Simvastatin 20 MG Oral Tablet", "one tablet in the evening", 1),
    "745679": Drug(
        "200 ACTUAT Albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", "one puff when needed", 4
    ),
    "895994": Drug(
        "120 ACTUAT Fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler",
        "two puffs, morning and evening",
        2,
    ),
    "310325": Drug("ferrous sulfate 325 MG Oral Tablet", "one tablet a day", 1),
    "243670": Drug("Aspirin 81 MG Oral Tablet", "one tablet a day", 1),
    "849574": Drug("Naproxen sodium 220 MG Oral Tablet", "one tablet when needed", 2),
    "313782": Drug("Acetaminophen 325 MG Oral Tablet", "two tablets when needed", 3),
    "308192": Drug("Amoxicillin 500 MG Oral Tablet", "one tablet every eight hours", 3),
    "310965": Drug("Ibuprofen 200 MG Oral Tablet", "one tablet when needed", 3),
}


class VisitKind(NamedTuple):
    """A kind of encounter: act class and SNOMED type."""

    act_class: str
    act_display: str
    snomed: str
    display: str


VISIT_KINDS = {
    "checkup": VisitKind("AMB", "ambulatory", "185349003", "Encounter for check up (procedure)"),
    "followup": VisitKind("AMB", "ambulatory", "390906007", "Follow-up encounter (procedure)"),
    "problem": VisitKind("AMB", "ambulatory", "185347001", "Encounter for problem (procedure)"),
    "imaging": VisitKind("AMB", "ambulatory", "371883000", "Outpatient procedure (procedure)"),
}
