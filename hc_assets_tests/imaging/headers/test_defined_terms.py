"""Of a header's words, only those leave that DICOM defines."""

import hashlib

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr.codedict import codes

from hc_assets.imaging.headers.defined_terms import (
    BODY_PARTS,
    MODALITIES,
    modality_term,
    scanner_name,
)


def test_modalities_are_those_of_the_standard():
    terms = codes.cid33
    assert {getattr(terms, name).value for name in terms.dir()} <= MODALITIES
    assert {"CT", "XAPROTOCOL", "VF"} <= MODALITIES


def test_body_parts_are_code_strings():
    assert {"CHEST", "WHOLEBODY", "BREAST", "TSPINE"} <= BODY_PARTS
    # VR CS: at most 16 letters, PS3.5 6.2
    assert all(part.isalpha() and part.isupper() and len(part) <= 16 for part in BODY_PARTS)


@pytest.mark.parametrize("text", ["DOE^JANE", "ct", "CT ", "", None])
def test_a_modality_that_is_no_term_is_none(text):
    assert modality_term(text) == ""
    assert modality_term("CT") == "CT"


@pytest.mark.parametrize(
    ("scanner", "maker"),
    [
        ("SIEMENS SOMATOM Force", "Siemens"),
        ("Siemens Healthineers MAGNETOM", "Siemens"),
        ("GE MEDICAL SYSTEMS Discovery", "GE"),
        ("Gerda Müller", "scanner"),
        ("FUJIFILM Corporation", "Fujifilm"),
        ("Doe Jane Philips", "scanner"),
    ],
)
def test_a_scanner_goes_by_a_known_maker_and_a_hash(scanner, maker):
    digest = hashlib.sha256(scanner.encode()).hexdigest()
    assert scanner_name(scanner) == f"{maker} {digest[:8]}"
    assert duckdb.sql("SELECT sha256(?)", params=[scanner]).fetchall() == [(digest,)]


@given(st.text())
def test_no_text_of_a_header_is_in_a_scanner_s_name(text):
    name = scanner_name(text)
    assert name == "" or name.rpartition(" ")[0] in {
        *("scanner", "Agfa", "Canon", "Carestream", "Esaote", "Fujifilm", "GE", "Hitachi"),
        *("Hologic", "Kodak", "Konica Minolta", "Lorad", "Mindray", "Neusoft", "Philips"),
        *("Samsung", "Shimadzu", "Siemens", "Toshiba", "United Imaging"),
    }
