"""The modalities that DICOM defines: what a header's may be called outside the tables.

Belongs here: the terms. A header may say anything at all, a name as well: the tables keep it as it
is, and what leaves (pages, pictures, training sets) knows only these.
"""

# Defined Terms of Modality (0008,0060), PS3.3 C.7.3.1.1.1, with those that are retired.
_CURRENT = (
    "ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM"
    " HC HD IO IOL IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS"
    " OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD"
    " RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC"
)
_RETIRED = "AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF"
MODALITIES = frozenset(f"{_CURRENT} {_RETIRED}".split(" "))
