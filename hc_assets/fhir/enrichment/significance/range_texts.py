"""What a reference range says that is only text: `3.5 - 5.1 mmol/L`, `< 5.0`, `up to 40`.

Belongs here: the grammar. A text is read where it has one reading, from its first character to its
last; whatever else it holds (a group of patients, a method, a remark) leaves it unread. Whose unit
it is in, and whether that becomes the value's, is seen in `own_ranges.py`; a text that names a
result (`negative`) is read by `interpretation_texts.py`.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

_CACHED = 4_096
_LONGEST = 100  # characters of a text that is looked at


class End(NamedTuple):
    """One end of a range: the number, and whether it is itself within."""

    value: float
    is_within: bool = True


class TextRange(NamedTuple):
    """What a text says.

    Attributes:
        low: least normal value; None where none is too low.
        high: highest normal value; None where none is too high.
        unit: as it is written; "" where the text has none.
        may_be_grouped: whether a point or comma of it may as well part thousands (`4.000`,
            `150,000`): read as a decimal point here.
    """

    low: End | None
    high: End | None
    unit: str = ""
    may_be_grouped: bool = False


# A comma is a decimal comma (3,5) or parts thousands (1,234,567), and so is a point.
_NUMBER = r"[+-]?\d+(?:[.,]\d+)*"
# A unit may begin with a power of ten, and with no other number: `5 000` has none.
_UNIT = r"(?!(?:and|or|to)\b)(?:(?:[x*]\s*)?10\s*[*^e]+\s*\d|[^\W\d_]|[/%°\[{µμ])[^<>=≤≥;,()]*?"
_TO = r"(?:-|~|\.\.\.?|to)"
_OR_EQUAL = r"(?:or\s*=|or\s+equal(?:\s+to)?)"
# Ways to say what side is normal, and whether the limit itself is.
_HIGHEST: Mapping[str, bool] = {
    rf"(?:<=|=<|≤|<\s*{_OR_EQUAL}|less\s+than\s+{_OR_EQUAL})": True,
    r"(?:<|less\s+than|lower\s+than|below|under)": False,
    r"(?:up\s+to|no\s+more\s+than|not\s+more\s+than|at\s+most|max(?:imum|\.)?)": True,
}
_LOWEST: Mapping[str, bool] = {
    rf"(?:>=|=>|≥|>\s*{_OR_EQUAL}|(?:greater|more)\s+than\s+{_OR_EQUAL})": True,
    r"(?:>|greater\s+than|more\s+than|higher\s+than|above|over)": False,
    r"(?:from|no\s+less\s+than|not\s+less\s+than|at\s+least|min(?:imum|\.)?)": True,
}
_OR_BELOW = r"(?:or|and)\s+(?:less|lower|below|under)"
_OR_ABOVE = r"(?:or|and)\s+(?:more|greater|higher|above|over)"
_LABEL = re.compile(
    r"\A(?:(?:normal|reference|ref\.?)\s*(?:range|values?|interval|limits?)?)\s*(?::|is\b|=(?![<>])|)"
    r"\s*(?=[\d<>=≤≥+(\[-]|[a-z])",
    re.IGNORECASE,
)
# Signs of one meaning: dashes, tildes, the sign of multiplication; and what has none.
_SAME_SIGNS = str.maketrans(
    "\u2010\u2011\u2012\u2013\u2014\u2212\u223c\uff5e\u00d7", "------~~x", "\u200b\u00ad"
)
_BRACKETS = {"(": ")", "[": "]"}
_SIGN = re.compile("[.,]")

_Read = Callable[[re.Match[str]], TextRange | None]


@lru_cache(maxsize=_CACHED)
def range_of(text: str) -> TextRange | None:
    """Read a text as a range of numbers; None where it is none, or may be several.

    Args:
        text: Observation.referenceRange.text.

    Returns:
        A range of which one end at least is a number. Its low may be above its high, if that is
        what the text says.
    """
    if len(text) > _LONGEST:
        return None
    plain = without_label(text)
    for pattern, read in _READINGS:
        found = pattern.fullmatch(plain)
        if found is not None:
            return read(found)
    return None


def without_label(text: str) -> str:
    """A text without the words that say that it is a range of what is normal, in plain signs.

    Args:
        text: Observation.referenceRange.text.
    """
    if len(text) > _LONGEST:
        return text
    return _bare(_LABEL.sub("", _bare(_plain(text)), count=1))


def _plain(text: str) -> str:
    # Before superscripts become digits: 10⁹ is no 109.
    text = re.sub("10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda each: f"10^{each[1]}", text)
    text = unicodedata.normalize("NFKC", text.translate(_SAME_SIGNS))
    return " ".join(text.split()).rstrip(".;,")


def _bare(text: str) -> str:
    """A text without the brackets around all of it."""
    end = _BRACKETS.get(text[:1])
    if end is not None and text.endswith(end) and text.count(text[0]) == 1:
        return text[1:-1].strip()
    return text


def _number(text: str, decimal: str) -> float | None:
    """A number as it is written, by the sign of its decimals; None where it is none so."""
    whole, _, rest = text.partition(decimal)
    grouped = "," if decimal == "." else "."
    if decimal in rest or grouped in rest or not _is_grouped(whole, grouped):
        return None
    return float(f"{whole.replace(grouped, '')}.{rest or 0}")


def _is_grouped(whole: str, sign: str) -> bool:
    first, *others = whole.lstrip("+-").split(sign)
    if not others:
        return True
    is_first = 1 <= len(first) <= len("999") and not first.startswith("0")
    return is_first and all(len(each) == len("000") for each in others)


def _numbers(texts: list[str]) -> list[list[float]]:
    """What numbers of one text can be: with decimals first, then with a sign between thousands."""
    first_signs = {sign[0] for each in texts if (sign := _SIGN.search(each))}
    has_both = any("," in each and "." in each for each in texts)
    if len(first_signs) > 1 and not has_both:
        return []  # 0,9 - 1.100: somebody mistyped, but which?
    found: list[list[float]] = []
    for decimal in (".", ","):
        numbers = [_number(each, decimal) for each in texts]
        known = [each for each in numbers if each is not None]
        if len(known) == len(numbers) and known not in found:
            found.append(known)
    return sorted(found, key=lambda numbers: [abs(each) for each in numbers])


def _range(
    low: tuple[str, bool] | None, high: tuple[str, bool] | None, *units: str | None
) -> TextRange | None:
    readings = _numbers([end[0] for end in (low, high) if end is not None])
    # 5 - 1,000 begins at five and ends at a thousand, not at one.
    readings = [each for each in readings if each == sorted(each)] or readings
    stated = {unit.strip() for unit in units if unit}
    if not readings or len(stated) > 1:
        return None
    numbers = iter(readings[0])
    made = [None if end is None else End(next(numbers), end[1]) for end in (low, high)]
    return TextRange(made[0], made[1], stated.pop() if stated else "", len(readings) > 1)


def _readings() -> list[tuple[re.Pattern[str], _Read]]:
    flags = re.IGNORECASE
    low, high = rf"(?P<low>{_NUMBER})", rf"(?P<high>{_NUMBER})"
    unit, other = rf"(?:\s*(?P<unit>{_UNIT}))?", rf"(?:\s*(?P<other>{_UNIT}))?"
    made: list[tuple[re.Pattern[str], _Read]] = [
        (re.compile(rf"{low}{other}\s*{_TO}\s*{high}{unit}", flags), _between()),
        (re.compile(rf"(?:from)\s+{low}{other}\s+to\s+{high}{unit}", flags), _between()),
        (re.compile(rf"between\s+{low}{other}\s+and\s+{high}{unit}", flags), _between()),
        (re.compile(rf"{high}{unit}\s+{_OR_BELOW}", flags), _up_to(is_within=True)),
        (re.compile(rf"{low}{unit}\s+{_OR_ABOVE}", flags), _from(is_within=True)),
    ]
    for least, is_least_within in _LOWEST.items():
        made.append((re.compile(rf"{least}\s*{low}{unit}", flags), _from(is_least_within)))
        for most, is_most_within in _HIGHEST.items():
            both = rf"{least}\s*{low}{other}\s*(?:{_TO}|and|,)?\s*{most}\s*{high}{unit}"
            made.append((re.compile(both, flags), _between(is_least_within, is_most_within)))
    for most, is_most_within in _HIGHEST.items():
        made.append((re.compile(rf"{most}\s*{high}{unit}", flags), _up_to(is_most_within)))
    return made


def _between(is_low_within: bool = True, is_high_within: bool = True) -> _Read:
    return lambda found: _range(
        (found["low"], is_low_within),
        (found["high"], is_high_within),
        found["other"],
        found["unit"],
    )


def _up_to(is_within: bool) -> _Read:
    return lambda found: _range(None, (found["high"], is_within), found["unit"])


def _from(is_within: bool) -> _Read:
    return lambda found: _range((found["low"], is_within), None, found["unit"])


_READINGS = _readings()
