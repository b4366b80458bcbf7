"""Codes that can be true of one sex only, as far as records go.

Belongs here: the table. A patient's `gender` is administrative, so that a hit is a contradiction to
look at, and no proof of an error.

Sources: ICD-10-CM, chapters and blocks that name one sex's organs or pregnancy, as in the sex
conflict edits of the Medicare Code Editor (CMS, Definitions of Medicare Code Edits, version 41);
SNOMED CT concepts that are in, or below, 126906006, 118185001 and 118189007; LOINC
codes whose component exists in one sex only.
"""

from collections.abc import Mapping

FEMALE, MALE = "female", "male"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
_ICD_10 = frozenset(
    {
        "http://hl7.org/fhir/sid/icd-10",
        "http://hl7.org/fhir/sid/icd-10-cm",
        "http://hl7.org/fhir/sid/icd-10-gm",
    }
)

_BY_CODE: Mapping[tuple[str, str], str] = {
    (SNOMED, "72892002"): FEMALE,  # normal pregnancy
    (SNOMED, "77386006"): FEMALE,  # pregnancy
    (SNOMED, "47200007"): FEMALE,  # high risk pregnancy
    (SNOMED, "19169002"): FEMALE,  # miscarriage in first trimester
    (SNOMED, "398254007"): FEMALE,  # pre-eclampsia
    (SNOMED, "15938005"): FEMALE,  # eclampsia
    (SNOMED, "35999006"): FEMALE,  # blighted ovum
    (SNOMED, "79586000"): FEMALE,  # tubal pregnancy
    (SNOMED, "363354003"): FEMALE,  # malignant tumor of cervix
    (SNOMED, "363443007"): FEMALE,  # malignant tumor of ovary
    (SNOMED, "129103003"): FEMALE,  # endometriosis
    (SNOMED, "11466000"): FEMALE,  # cesarean section
    (SNOMED, "177184002"): FEMALE,  # normal delivery
    (SNOMED, "236886002"): FEMALE,  # hysterectomy
    (SNOMED, "126906006"): MALE,  # neoplasm of prostate
    (SNOMED, "92691004"): MALE,  # carcinoma in situ of prostate
    (SNOMED, "399068003"): MALE,  # malignant tumor of prostate
    (SNOMED, "314994000"): MALE,  # metastasis from malignant tumor of prostate
    (SNOMED, "266569009"): MALE,  # benign prostatic hyperplasia
    (SNOMED, "363449006"): MALE,  # malignant tumor of testis
    (SNOMED, "90470006"): MALE,  # prostatectomy
    (SNOMED, "22523008"): MALE,  # vasectomy
    (LOINC, "2857-1"): MALE,  # prostate specific antigen in serum or plasma
    (LOINC, "19195-7"): MALE,  # the same, per amount of substance
    (LOINC, "10886-0"): MALE,  # prostate specific antigen, free
    (LOINC, "11884-4"): FEMALE,  # gestational age, estimated
    (LOINC, "11996-6"): FEMALE,  # pregnancies
    (LOINC, "11778-8"): FEMALE,  # delivery date, estimated
}
# Three characters of ICD-10, first and last of each block.
_BY_ICD_10 = (
    ("C51", "C58", FEMALE),
    ("C60", "C63", MALE),
    ("N40", "N51", MALE),
    ("N70", "N98", FEMALE),
    ("O00", "O9A", FEMALE),
    ("Z34", "Z34", FEMALE),
    ("Z36", "Z37", FEMALE),
)
_CATEGORY_LENGTH = 3


def sex_of(system: str | None, code: str | None) -> str | None:
    """Sex (HL7 AdministrativeGender) that a code can be true of; None where of any."""
    if system is None or code is None:
        return None
    if system in _ICD_10:
        category = code[:_CATEGORY_LENGTH].upper()
        for first, last, sex in _BY_ICD_10:
            if first <= category <= last:
                return sex
        return None
    return _BY_CODE.get((system, code))
