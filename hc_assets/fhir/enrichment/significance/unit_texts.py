"""What a unit can mean that is only text, or a code that UCUM does not have: UCUM codes.

Belongs here: the table of synonyms, and how a text is taken apart by it. A text has as many
readings as the table and UCUM itself give it; which of them is possible is seen by what it is
compared with, in `quantities.py`: K/uL is kelvins per microlitre by UCUM, and thousands in a
laboratory, and only one of them becomes a count of leukocytes.

The synonyms are the names and print symbols that UCUM's tables give for a unit, the abbreviations
of everyday (mcg, cc, gm, bpm), the ways of writing powers of ten in laboratories and in HL7
version 2 (10*3, 10^3, 10E3, K, thou), and capitals, since some systems have no small letters. What
has two meanings has both of them here.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product

from hc_assets.fhir.enrichment.significance.units import is_ucum

_CACHED = 4_096
# Characters of a text that is looked at, and how many readings are worth comparing.
_LONGEST = 60
_MOST_READINGS = 16

# What a metric unit's name is written with, and UCUM's symbol for it.
_PREFIXES = {
    "": "",
    "k": "k", "kilo": "k",
    "d": "d", "deci": "d",
    "c": "c", "centi": "c",
    "m": "m", "milli": "m",
    "u": "u", "mc": "u", "micro": "u",
    "n": "n", "nano": "n",
    "p": "p", "pico": "p",
    "f": "f", "femto": "f",
}  # fmt: skip
_METRIC: Mapping[str, tuple[str, ...]] = {
    "g": ("g",), "gm": ("g",), "gms": ("g",), "gram": ("g",), "grams": ("g",),
    "l": ("L",), "liter": ("L",), "liters": ("L",), "litre": ("L",), "litres": ("L",),
    "m": ("m",), "meter": ("m",), "meters": ("m",), "metre": ("m",), "metres": ("m",),
    "mol": ("mol",), "mole": ("mol",), "moles": ("mol",), "mols": ("mol",),
    "eq": ("eq",), "equiv": ("eq",), "equivalent": ("eq",), "equivalents": ("eq",),
    "osm": ("osm",), "osmol": ("osm",), "osmole": ("osm",), "osmoles": ("osm",),
    # The unit of an enzyme's activity, or one of WHO's standards: both are written either way.
    "u": ("U", "[IU]"), "unit": ("U", "[IU]"), "units": ("U", "[IU]"),
    "iu": ("[IU]", "U"), "i.u.": ("[IU]", "U"),
}  # fmt: skip
# Whatever the letters' size.
_FOLDED: Mapping[str, tuple[str, ...]] = {
    "%": ("%",), "percent": ("%",), "pct": ("%",),
    "ratio": ("1",), "fraction": ("1",),
    "s": ("s",), "sec": ("s",), "secs": ("s",), "second": ("s",), "seconds": ("s",),
    "min": ("min",), "mins": ("min",), "minute": ("min",), "minutes": ("min",),
    "h": ("h",), "hr": ("h",), "hrs": ("h",), "hour": ("h",), "hours": ("h",),
    "24h": ("(24.h)",), "24 h": ("(24.h)",), "24hr": ("(24.h)",), "24 hr": ("(24.h)",),
    "24hrs": ("(24.h)",), "24 hours": ("(24.h)",),
    "d": ("d",), "day": ("d",), "days": ("d",),
    "wk": ("wk",), "wks": ("wk",), "week": ("wk",), "weeks": ("wk",),
    "mo": ("mo",), "mos": ("mo",), "mth": ("mo",), "month": ("mo",), "months": ("mo",),
    "a": ("a",), "y": ("a",), "yr": ("a",), "yrs": ("a",), "year": ("a",), "years": ("a",),
    "years old": ("a",),
    "°c": ("Cel",), "degc": ("Cel",), "deg c": ("Cel",), "degrees c": ("Cel",), "cel": ("Cel",),
    "celsius": ("Cel",), "degrees celsius": ("Cel",), "degree celsius": ("Cel",),
    "centigrade": ("Cel",), "c": ("Cel",), "oc": ("Cel",), "of": ("[degF]",),
    "°f": ("[degF]",), "degf": ("[degF]",), "deg f": ("[degF]",), "degrees f": ("[degF]",),
    "fahrenheit": ("[degF]",), "degrees fahrenheit": ("[degF]",),
    "degree fahrenheit": ("[degF]",), "f": ("[degF]",),
    "°": ("Cel", "[degF]", "deg"), "deg": ("Cel", "[degF]", "deg"),
    "degree": ("Cel", "[degF]", "deg"), "degrees": ("Cel", "[degF]", "deg"),
    "mmhg": ("mm[Hg]",), "mm hg": ("mm[Hg]",), "mm(hg)": ("mm[Hg]",), "mm[hg]": ("mm[Hg]",),
    "torr": ("mm[Hg]",), "millimeters of mercury": ("mm[Hg]",),
    "cmh2o": ("cm[H2O]",), "cm h2o": ("cm[H2O]",),
    "lb": ("[lb_av]",), "lbs": ("[lb_av]",), "pound": ("[lb_av]",), "pounds": ("[lb_av]",),
    "oz": ("[oz_av]",), "ounce": ("[oz_av]",), "ounces": ("[oz_av]",),
    "in": ("[in_i]",), "inch": ("[in_i]",), "inches": ("[in_i]",),
    "ft": ("[ft_i]",), "foot": ("[ft_i]",), "feet": ("[ft_i]",),
    "cc": ("cm3",), "cm3": ("cm3",), "cm^3": ("cm3",),
    "mm3": ("mm3",), "mm^3": ("mm3",), "cumm": ("mm3",), "cu mm": ("mm3",), "cmm": ("mm3",),
    "m2": ("m2",), "m*2": ("m2",), "m^2": ("m2",), "sqm": ("m2",), "sq m": ("m2",),
    "1.73m2": ("{1.73_m2}",), "1.73 m2": ("{1.73_m2}",), "1.73m^2": ("{1.73_m2}",),
    "1.73 m^2": ("{1.73_m2}",), "1.73 sqm": ("{1.73_m2}",), "1.73_m2": ("{1.73_m2}",),
    "1.73 sq m": ("{1.73_m2}",), "1.73sqm": ("{1.73_m2}",), "1.73m*2": ("{1.73_m2}",),
    "1.73 m*2": ("{1.73_m2}",),
    "kgs": ("kg",), "100ml": ("dL",), "100 ml": ("dL",), "kg h2o": ("kg",),
    # Counts: thousands, millions, and what is either (a mil is a thousand, or short for a million).
    "k": ("10*3",), "thou": ("10*3",), "thous": ("10*3",), "thousand": ("10*3",),
    "thousands": ("10*3",), "mill": ("10*6",), "million": ("10*6",), "millions": ("10*6",),
    "mil": ("10*3", "10*6"), "lakh": ("10*5",), "lakhs": ("10*5",),
    # What is counted is no unit.
    "": ("",), "1": ("",), "cells": ("",), "cell": ("",), "beats": ("",), "beat": ("",),
    "breaths": ("",), "breath": ("",), "br": ("",), "resp": ("",), "respirations": ("",),
    "counts": ("",), "count": ("",),
}  # fmt: skip
# Texts that are known as a whole, and mean that alone.
_WHOLE: Mapping[str, tuple[str, ...]] = {
    "bpm": ("/min",), "b.p.m.": ("/min",), "brpm": ("/min",), "rpm": ("/min",),
    "ml/min/1.73": ("mL/min/{1.73_m2}",), "mm/hg": ("mm[Hg]",),
    "mg%": ("mg/dL",), "g%": ("g/dL",), "gm%": ("g/dL",),
    "ug%": ("ug/dL",), "mcg%": ("ug/dL",), "meq%": ("meq/dL",), '"': ("[in_i]",),
}  # fmt: skip
# Where the size of the letter says what is meant; what it means beside that is UCUM's reading.
_EXACT: Mapping[str, tuple[str, ...]] = {
    "M": ("10*6",), "G": ("10*9", "g"), "T": ("10*12",), "K": ("10*3",),
    "m": ("m", "min", "mo"),
}  # fmt: skip

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_LETTERS = str.maketrans({"\N{GREEK SMALL LETTER MU}": "u", "\N{MULTIPLICATION SIGN}": "x"})
_RAISED = re.compile("10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
# The sign of multiplication is an x by then, see `_plain`.
_POWER = re.compile(r"(?:[x*]\s*)?10\s*(?:\*\*|\*|\^|e)\s*\+?([0-9]{1,2})", re.IGNORECASE)
_COUNTED = re.compile(r"(?<=[0-9a-z])\s+(?:cells?|counts?)\b", re.IGNORECASE)


def _metric() -> Iterator[tuple[str, tuple[str, ...]]]:
    for (prefix, symbol), (name, codes) in product(_PREFIXES.items(), _METRIC.items()):
        yield prefix + name, tuple(f"{symbol}{code}" for code in codes)


_NAMES: Mapping[str, tuple[str, ...]] = {**dict(_metric()), **_FOLDED}


@lru_cache(maxsize=_CACHED)
def readings(text: str) -> tuple[str, ...]:
    """UCUM codes that a text can stand for; none where it is no unit that is known.

    Args:
        text: Quantity.unit, or a Quantity.code that UCUM does not have.
    """
    if len(text) > _LONGEST:
        return ()
    plain = _plain(text)
    whole = _WHOLE.get(plain.casefold())
    if whole is not None:
        return whole
    found = [text] if is_ucum(text) else []
    parts = [_part(each.strip()) for each in plain.split("/")]
    if all(parts):
        found += _joined(parts)
    return tuple(dict.fromkeys(each for each in found if each))


def _plain(text: str) -> str:
    text = _RAISED.sub(lambda power: f"10*{power[1].translate(_SUPERSCRIPTS)}", text)
    text = unicodedata.normalize("NFKC", text).translate(_LETTERS)
    text = _COUNTED.sub("", _POWER.sub(r"10*\1", text))
    text = re.sub(r"\s+per\s+", "/", f" {text}", flags=re.IGNORECASE)
    return " ".join(text.split())


def _part(text: str) -> tuple[str, ...]:
    text = text.strip("{}") if text.startswith("{") else text
    if _POWER.fullmatch(text):
        return (text,)
    exact = _EXACT.get(text, ())
    named = _NAMES.get(text.casefold(), ())
    if not exact and not named and is_ucum(text):
        return (text,)
    return (*exact, *(each for each in named if each not in exact))


def _joined(parts: Iterable[tuple[str, ...]]) -> list[str]:
    made = []
    for first, *others in product(*parts):
        below = [each for each in others if each]
        if first or below:
            made.append("/".join((first, *below)))
    return made if len(made) <= _MOST_READINGS else []
