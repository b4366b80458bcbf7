"""What a header's text may be called outside the tables: the terms that DICOM defines.

Belongs here: the terms, and how a scanner is named. A header may say anything at all, a name as
well: the tables keep it as it is, and what leaves (pages, pictures, messages, training sets) knows
only these.
"""

import hashlib

# Defined Terms of Modality (0008,0060), PS3.3 C.7.3.1.1.1, with those that are retired.
_CURRENT = (
    "ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM"
    " HC HD IO IOL IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS"
    " OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD"
    " RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC"
)
_RETIRED = "AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF"
MODALITIES = frozenset(f"{_CURRENT} {_RETIRED}".split(" "))

# Defined Terms of Body Part Examined (0018,0015), PS3.16 Annex L, Table L-1.
_PARTS = (
    "ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BRAIN BREAST BRONCHUS"
    " BUTTOCK CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS"
    " CIRCLEOFWILLIS CLAVICLE COCCYX COLON CORNEA CORONARYARTERY CSPINE CTSPINE DUODENUM EAR"
    " ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR FINGER FOOT GALLBLADDER HAND HEAD HEADNECK"
    " HEART HIP HUMERUS IAC ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LSPINE LSSPINE"
    " LUNG MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT"
    " OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE RADIUS RADIUSULNA RECTUM RIB"
    " SCALP SCAPULA SCLERA SCROTUM SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM STOMACH"
    " SUBMANDIBULAR TESTIS THIGH THUMB THYMUS THYROID TIBIA TIBIAFIBULA TLSPINE TMJ TOE TONGUE"
    " TRACHEA TSPINE ULNA URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA"
)
BODY_PARTS = frozenset(_PARTS.split(" "))

# How the makers of most scanners write their names in Manufacturer (0008,0070), from its start.
_MAKERS = {
    "agfa": "Agfa",
    "canon": "Canon",
    "carestream": "Carestream",
    "esaote": "Esaote",
    "fuji": "Fujifilm",
    "fujifilm": "Fujifilm",
    "ge": "GE",
    "hitachi": "Hitachi",
    "hologic": "Hologic",
    "kodak": "Kodak",
    "konica": "Konica Minolta",
    "lorad": "Lorad",
    "mindray": "Mindray",
    "neusoft": "Neusoft",
    "philips": "Philips",
    "samsung": "Samsung",
    "shimadzu": "Shimadzu",
    "siemens": "Siemens",
    "toshiba": "Toshiba",
    "uih": "United Imaging",
    "united imaging": "United Imaging",
}
_LETTERS = 8


def modality_term(text: str | None) -> str:
    """Return a Modality as it may be shown; "" for none and for what is no defined term."""
    return text if text in MODALITIES else ""


def scanner_name(scanner: str) -> str:
    """Return a scanner's name as it may be shown.

    Args:
        scanner: Manufacturer and ManufacturerModelName, as the tables have them.

    Returns:
        Its maker where that is one of the well-known, and the first letters of the SHA-256 of the
        text, which lead a user of the tables back to it; "" for none.
    """
    if not scanner:
        return ""
    folded = scanner.casefold()
    known = (
        name
        for written, name in _MAKERS.items()
        if folded.startswith(written) and not folded[len(written) : len(written) + 1].isalpha()
    )
    maker = next(known, "scanner")
    return f"{maker} {hashlib.sha256(scanner.encode()).hexdigest()[:_LETTERS]}"
