"""Where the limits come from: each source with its edition, and how it was looked up.

Belongs here: the sources of `limits.py`. What could not be looked up says so: it is no proof that a
figure is wrong, but nobody has seen it where it is said to be.
"""

from typing import NamedTuple


class Source(NamedTuple):
    """A source of limits.

    Attributes:
        name: as a reason names it.
        edition: edition, page or table.
        seen: where its figures were looked up; "" where they could not be.
    """

    name: str
    edition: str
    seen: str


ABIM = Source(
    "American Board of Internal Medicine, Laboratory Test Reference Ranges",
    "January 2026, https://www.abim.org/media/e2wdwdqu/laboratory-reference-ranges.pdf",
    "in two public transcriptions that name it, row by row; the document itself was out of reach",
)
KOST = Source(
    "Kost, Critical limits for urgent clinician notification at US medical centers",
    "JAMA 1990;263(5):704-707, mean critical limits",
    "abstract, https://pubmed.ncbi.nlm.nih.gov/2296127/ (SI units; mg/dL as in MLO's table)",
)
CLR = Source(
    "Table of Critical Limits, MLO Clinical Laboratory Reference",
    "2023-2024, page 8, adults, means",
    "https://content.yudu.com/web/1gmmj/0A1gmn1/CLR2023-2024/html/8.html",
)
CLR_CHILDREN = Source(
    "Table of Critical Limits, MLO Clinical Laboratory Reference: children",
    "2012-2013, children, means, in mmol/L",
    "https://ja.scribd.com/document/353657346/Clr201213-Table-of-Critical-Limits",
)
NEWS2 = Source(
    "Royal College of Physicians, National Early Warning Score (NEWS) 2",
    "2017, chart 1",
    "the chart as reproduced at https://scribd.com/document/584338409",
)
ACC_AHA = Source(
    "ACC/AHA guideline for high blood pressure in adults",
    "2017; Whelton et al., Hypertension 2018;71(4):1269-1324, categories and crisis",
    "tables that name it: https://bmccardiovascdisord.biomedcentral.com/articles/10.1186/"
    "s12872-019-1259-0/tables/1; of crisis https://download.skyscape.com/download/ota/lonestar/"
    "A0743E99-7702-4E5C-A364-3450E5422F1C/clinskill.ed6/content/HTML/4/tn4.htm",
)
MAYO_PRESSURE = Source(
    "Mayo Clinic, Low blood pressure (hypotension)",
    "without an edition",
    "http://mcmapp.mayoclinic.org/sharing/Content/conditions?id=CON-20248754",
)
MAYO_RATE = Source(
    "Mayo Clinic, What's a normal resting heart rate?",
    "without an edition; of adults",
    "https://www.mayoclinic.org/healthy-lifestyle/fitness/expert-answers/heart-rate/faq-20057979",
)
NLM_GLUCOSE = Source(
    "MedlinePlus, Blood sugar test: random", "without an edition, 125 mg/dL or lower", ""
)
PALS = Source(
    "American Heart Association, Pediatric Advanced Life Support",
    "2015, awake rates",
    "PedsCases, Pediatric Vital Signs Reference Chart, which names it,"
    " https://www.scribd.com/document/508099272",
)
ADA = Source(
    "American Diabetes Association, Standards of Medical Care in Diabetes",
    "2021, tables 2.2 and 2.5; the same in 2025, Diabetes Care 48(Suppl. 1):S27-S49",
    "Clinical Diabetes, table 2.2/2.5 (adapted from it); Merck Manual, Diagnostic Criteria (2025)",
)
HYPOGLYCEMIA = Source(
    "International Hypoglycaemia Study Group, glucose below 3.0 mmol/L (54 mg/dL)",
    "Diabetes Care 2017;40:155-157, level 2; in the ADA's Standards of Care since",
    "Diabetes Care, Standards of Care, table 6.3 (classification of hypoglycemia)",
)
ATP_III = Source(
    "National Cholesterol Education Program, ATP III",
    "NIH Publication 02-5215, September 2002; At-A-Glance, step 1",
    "http://www.nhlbi.nih.gov/health-pro/guidelines/current/cholesterol-guidelines/"
    "quick-desk-reference-html.htm; triglycerides: a table that names it,"
    " https://dbpia.nl.go.kr/view-large/97185243",
)
WHO = Source(
    "WHO/FAO, Diet, Nutrition and the Prevention of Chronic Diseases",
    "Technical Report Series 916, 2003, table 8",
    "the table at http://greenfacts.org/en/diet-nutrition/figtableboxes/table-8.htm",
)
KDIGO = Source(
    "KDIGO 2012 guideline for chronic kidney disease",
    "Kidney International Supplements 2013;3:5-14, statement 1.2.3",
    "https://docksci.com/summary-of-recommendation-statements_5a6bc894d64ab20742e270d7.html",
)
MIMIC = Source(
    "MIMIC-Extract, variable ranges: outliers",
    "https://github.com/MLforHealth/MIMIC_Extract, resources/mimiciv_variable_ranges.csv",
    "the file, at commit bb47bda",
)
MACDOUGALL = Source(
    "MacDougall et al., Arterial blood pressure response to heavy resistance exercise",
    "J Appl Physiol 1985;58(3):785-790",
    "abstract, https://doi.org/10.1152/jappl.1985.58.3.785",
)
SONI = Source(
    "Soni et al., Extreme hyperglycemia and hyperosmolarity",
    "Diabetes Care 1990;13:181-182",
    "http://www.healthcentral.com/diabetes/c/110/9887/record-high-blood/, which quotes it",
)
GUINNESS = Source(
    "Guinness World Records: body temperatures survived, tallest person, longest life",
    "11.8 and 46.5 degrees Celsius, 272 cm, 122 years and 164 days",
    "pages that quote it; Robert Wadlow: https://guinnessworldrecords.es/records/hall-of-fame/"
    "robert-wadlow-tallest-man-ever.html",
)
SOURCES_OF_BOUNDS = (MIMIC, MACDOUGALL, SONI, GUINNESS)
SOURCES = (
    ABIM,
    KOST,
    CLR,
    CLR_CHILDREN,
    NEWS2,
    ACC_AHA,
    MAYO_PRESSURE,
    MAYO_RATE,
    PALS,
    ADA,
    HYPOGLYCEMIA,
    NLM_GLUCOSE,
    ATP_III,
    WHO,
    KDIGO,
)


def names(sources: tuple[Source, ...]) -> str:
    """Names of sources, for people."""
    return "; ".join(each.name for each in sources)
