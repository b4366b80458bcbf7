import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.significance.units import NO_ANALYTE, Analyte, conversion

GLUCOSE = Analyte(180.156)
CALCIUM = Analyte(40.078, valence=2)


@pytest.mark.parametrize(
    ("value", "source", "target", "analyte", "expected"),
    [
        (5.55, "mmol/L", "mg/dL", GLUCOSE, 99.987),
        (99.987, "mg/dL", "mmol/L", GLUCOSE, 5.55),
        (100.0, "umol/L", "mg/dL", Analyte(113.12), 1.1312),
        (2.5, "mmol/L", "mg/dL", CALCIUM, 10.0195),
        (5.0, "meq/L", "mmol/L", CALCIUM, 2.5),
        (5.0, "meq/L", "mg/dL", CALCIUM, 10.0195),
        (4.0, "meq/L", "mmol/L", Analyte(39.098, valence=1), 4.0),
        (98.6, "[degF]", "Cel", NO_ANALYTE, 37.0),
        (310.15, "K", "Cel", NO_ANALYTE, 37.0),
        (16.0, "kPa", "mm[Hg]", NO_ANALYTE, 120.00985),
        (7000.0, "/uL", "10*3/uL", NO_ANALYTE, 7.0),
        (7.0, "10*9/L", "10*3/uL", NO_ANALYTE, 7.0),
        (0.42, "L/L", "%", NO_ANALYTE, 42.0),
        (140.0, "g/L", "g/dL", NO_ANALYTE, 14.0),
        (2.0, "m[iU]/L", "u[IU]/mL", NO_ANALYTE, 2.0),
        (1.0, "ukat/L", "U/L", NO_ANALYTE, 60.0),
        (72.0, "{beats}/min", "/min", NO_ANALYTE, 72.0),
        (90.0, "mL/min", "mL/min/{1.73_m2}", NO_ANALYTE, 90.0),
        (12.0, "mo", "a", NO_ANALYTE, 1.0),
    ],
)
def test_quantities_of_laboratories_are_converted(value, source, target, analyte, expected):
    found = conversion(source, target, analyte)
    assert found is not None
    assert found(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("source", "target", "analyte"),
    [
        ("mmol/L", "mg/dL", NO_ANALYTE),  # of what?
        ("meq/L", "mmol/L", NO_ANALYTE),  # of which charge?
        ("mg/dL", "mmol/mol", GLUCOSE),
        ("[iU]/L", "10*9/L", NO_ANALYTE),  # arbitrary units are only themselves
        ("[iU]/L", "[arb'U]/L", NO_ANALYTE),
        ("mm[Hg]", "mg/dL", GLUCOSE),
        ("[pH]", "mol/L", NO_ANALYTE),
        ("B", "1", NO_ANALYTE),
        ("milligrams", "mg", NO_ANALYTE),
        ("mg per dL", "mg/dL", NO_ANALYTE),
        ("", "mg", NO_ANALYTE),
        ("\N{MICRO SIGN}g/L", "ug/L", NO_ANALYTE),
        ("mg/dL/", "mg/dL", NO_ANALYTE),
    ],
)
def test_what_can_not_be_converted_is_not(source, target, analyte):
    assert conversion(source, target, analyte) is None


UNITS = st.sampled_from(["mmol/L", "umol/L", "mg/dL", "g/L", "ug/mL", "mol/m3"])


@given(UNITS, UNITS, st.floats(1e-3, 1e4))
def test_a_conversion_and_its_way_back_change_nothing(one, other, value):
    there, back = conversion(one, other, GLUCOSE), conversion(other, one, GLUCOSE)
    assert there is not None
    assert back is not None
    assert back(there(value)) == pytest.approx(value, rel=1e-9)


@given(st.text(max_size=12))
def test_no_text_makes_it_raise(text):
    assert conversion(text, "mg/dL", GLUCOSE) is None or text != ""


def test_the_library_is_loaded_only_when_units_differ():
    script = (
        "import sys; from hc_assets.fhir.enrichment.significance.units import conversion; "
        "conversion('mg/dL', 'mg/dL'); conversion('{beats}/min', '/min'); "
        "assert 'pint' not in sys.modules; "
        "conversion('g', 'kg'); assert 'pint' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_unit_of_thousands_of_terms_is_unknown() -> None:
    assert conversion(".".join(["mg"] * 3_000), "g") is None
    assert conversion("mg", "/".join(["g"] * 3_000)) is None


@pytest.mark.parametrize("unit", ["B", "dB", "Np", "mg999999999", "10*999999", "kg-99999999"])
@pytest.mark.parametrize("target", ["mmol/L", "mg/dL", "Cel"])
def test_units_that_no_quantity_can_be_worked_out_of_have_no_conversion(unit, target):
    assert conversion(unit, target, GLUCOSE) is None
