"""Interpretations and results that are only text: `High`, `L`, `abnormal`, `not detected`.

Belongs here: the words, and what code of HL7's each stands for. A text is read where all of it is
such a word, or several of one meaning (`H - High`); whatever else it holds leaves it unread: `not
high`, `high for age`. Single letters other than H, L, N and A are left too: R is resistant to one
laboratory and reactive to another.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

_CACHED = 4_096
_LONGEST = 100  # characters of a text that is looked at

_WORDS_OF_CODES: Mapping[str, tuple[str, ...]] = {
    "H": ("h", "hi", "high", "abnormal high", "abnormally high", "high abnormal", "above normal",
          "above high normal", "above range", "above normal range", "above reference range",
          "above the reference range", "above upper limit", "above high threshold", "elevated",
          "raised", "too high", "↑"),
    "HH": ("hh", "critical high", "critically high", "high critical", "panic high", "high panic",
           "above upper panic limits", "above critical limit"),
    "HU": ("hu", "very high", "significantly high", "markedly high"),
    "L": ("l", "lo", "low", "abnormal low", "abnormally low", "low abnormal", "below normal",
          "below low normal", "below range", "below normal range", "below reference range",
          "below the reference range", "below lower limit", "below low threshold", "too low", "↓"),
    "LL": ("ll", "critical low", "critically low", "low critical", "panic low", "low panic",
           "below lower panic limits", "below critical limit"),
    "LU": ("lu", "very low", "significantly low", "markedly low"),
    "N": ("n", "normal", "within normal limits", "wnl", "within limits", "within range",
          "within normal range", "within reference range", "within the reference range", "in range",
          "in normal range", "not abnormal", "no abnormality"),
    "A": ("a", "abnormal", "not normal", "out of range", "outside range", "outside normal range",
          "outside reference range", "outside the reference range", "outside normal limits"),
    "AA": ("aa", "critical", "critical abnormal", "critically abnormal", "abnormal critical",
           "very abnormal", "panic"),
    "POS": ("pos", "positive"),
    "NEG": ("neg", "negative"),
    "DET": ("det", "detected"),
    "ND": ("nd", "not detected", "none detected", "undetected"),
    "IND": ("ind", "indeterminate"),
    "E": ("equivocal",),
    "RR": ("rr", "reactive"),
    "NR": ("nr", "non reactive", "nonreactive", "not reactive"),
    "WR": ("wr", "weakly reactive"),
    "S": ("susceptible",),
    "SDD": ("sdd", "susceptible dose dependent"),
    "I": ("intermediate",),
    "R": ("resistant",),
    "NS": ("ns", "non susceptible", "nonsusceptible", "not susceptible"),
}  # fmt: skip
_CODES = {word: code for code, words in _WORDS_OF_CODES.items() for word in words}
# What parts a code from its meaning (`H - High`, `High (H)`), but within a word.
_PARTED = re.compile(r"\s+-\s+|[:;,=/()\[\]]")


@lru_cache(maxsize=_CACHED)
def code_of_text(text: str) -> str | None:
    """HL7's code for an interpretation or a result; None where a text is none, or several.

    Args:
        text: of a CodeableConcept, of a result, or of a reference range that names a result.
    """
    if len(text) > _LONGEST:
        return None
    whole = _plain(text)
    found = _CODES.get(_words(whole))
    if found is not None:
        return found
    codes = {_CODES.get(_words(each)) for each in _PARTED.split(whole) if each.strip()}
    return codes.pop() if len(codes) == 1 else None


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.sub("[\u2010-\u2014\u2212]", "-", text).strip().rstrip(".!")


def _words(text: str) -> str:
    return " ".join(text.replace("-", " ").split())
