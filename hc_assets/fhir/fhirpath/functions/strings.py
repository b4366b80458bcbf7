"""FHIRPath functions on strings.

Belongs here: what each function gives for its input and arguments, as a table that the compiler
looks names up in. Conversions between types belong to `conversions.py`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from hc_assets.fhir.fhirpath.errors import EvaluationError, UndecidableError
from hc_assets.fhir.fhirpath.model import Collection, Scope
from hc_assets.fhir.fhirpath.regex import MAX_TEXT, compile_pattern
from hc_assets.fhir.fhirpath.singletons import (
    Function,
    check_length,
    integer_of,
    limited,
    text_of,
)


def _starts_with(_: Scope, items: Collection, prefix: Collection) -> bool | None:
    text, start = text_of(items), text_of(prefix)
    return None if text is None or start is None else text.startswith(start)


def _ends_with(_: Scope, items: Collection, suffix: Collection) -> bool | None:
    text, end = text_of(items), text_of(suffix)
    return None if text is None or end is None else text.endswith(end)


def _contains(_: Scope, items: Collection, part: Collection) -> bool | None:
    text, wanted = text_of(items), text_of(part)
    return None if text is None or wanted is None else wanted in text


def _search(items: Collection, pattern: Collection) -> tuple[str, re.Pattern[str]] | None:
    text, expression = text_of(items), text_of(pattern)
    if text is None or expression is None:
        return None
    if len(text) > MAX_TEXT:
        raise UndecidableError(f"a regular expression on more than {MAX_TEXT} characters")
    return text, compile_pattern(expression)


def _matches(_: Scope, items: Collection, pattern: Collection) -> bool | None:
    # Anywhere in the text: FHIRPath defined it so after R4, and HL7's validator follows.
    search = _search(items, pattern)
    return None if search is None else search[1].search(search[0]) is not None


def _matches_full(_: Scope, items: Collection, pattern: Collection) -> bool | None:
    search = _search(items, pattern)
    return None if search is None else search[1].fullmatch(search[0]) is not None


def _replace_matches(
    _: Scope, items: Collection, pattern: Collection, substitute: Collection
) -> Collection:
    search, replacement = _search(items, pattern), text_of(substitute)
    if search is None or replacement is None:
        return []
    if not search[1].pattern:
        return [search[0]]  # HL7's suite has nothing replaced by an empty pattern
    check_length((len(search[0]) + 1) * len(replacement))
    # FHIRPath writes a group as $1, Python as \g<1>.
    template = re.sub(r"\$(\d)", r"\\g<\1>", replacement.replace("\\", r"\\"))
    try:
        return [search[1].sub(template, search[0])]
    except re.error as error:
        raise EvaluationError("a replacement that names a missing group") from error


def _replace(_: Scope, items: Collection, old: Collection, new: Collection) -> Collection:
    text, part, substitute = text_of(items), text_of(old), text_of(new)
    if text is None or part is None or substitute is None:
        return []
    check_length(len(text) + (text.count(part)) * len(substitute))
    return [text.replace(part, substitute)]


def _index_of(_: Scope, items: Collection, part: Collection) -> Collection:
    text, wanted = text_of(items), text_of(part)
    return [] if text is None or wanted is None else [text.find(wanted)]


def _last_index_of(_: Scope, items: Collection, part: Collection) -> Collection:
    text, wanted = text_of(items), text_of(part)
    return [] if text is None or wanted is None else [text.rfind(wanted)]


def _substring(
    _: Scope, items: Collection, start: Collection, length: Collection | None = None
) -> Collection:
    text, first = text_of(items), integer_of(start)
    if text is None or first is None or not 0 <= first < len(text):
        return []
    count = None if length is None else integer_of(length)
    return [text[first:] if count is None else text[first : first + max(count, 0)]]


def _length(_: Scope, items: Collection) -> Collection:
    text = text_of(items)
    return [] if text is None else [len(text)]


def _of_text(change: Callable[[str], Any]) -> Callable[[Scope, Collection], Collection]:
    def apply(_: Scope, items: Collection) -> Collection:
        text = text_of(items)
        if text is None:
            return []
        changed = change(text)
        return limited(changed) if isinstance(changed, list) else [changed]

    return apply


def _split(_: Scope, items: Collection, separator: Collection) -> Collection:
    text, mark = text_of(items), text_of(separator)
    if text is None or mark is None:
        return []
    return limited([*text.split(mark)] if mark else [*text])


def _join(_: Scope, items: Collection, separator: Collection | None = None) -> Collection:
    if not items:
        return []
    mark = "" if separator is None else text_of(separator)
    texts = [text for item in items if (text := text_of([item])) is not None]
    check_length(sum(map(len, texts)) + len(texts) * len(mark or ""))
    return [(mark or "").join(texts)]


# Functions that give true, false or nothing (None).
TESTS: Mapping[str, Function] = {
    "startsWith": Function(1, 1, _starts_with),
    "endsWith": Function(1, 1, _ends_with),
    "contains": Function(1, 1, _contains),
    "matches": Function(1, 1, _matches),
    "matchesFull": Function(1, 1, _matches_full),
}

# Functions that give a collection.
VALUES: Mapping[str, Function] = {
    "replace": Function(2, 2, _replace),
    "replaceMatches": Function(2, 2, _replace_matches),
    "indexOf": Function(1, 1, _index_of),
    "lastIndexOf": Function(1, 1, _last_index_of),
    "substring": Function(1, 2, _substring),
    "length": Function(0, 0, _length),
    "lower": Function(0, 0, _of_text(str.lower)),
    "upper": Function(0, 0, _of_text(str.upper)),
    "trim": Function(0, 0, _of_text(str.strip)),
    "toChars": Function(0, 0, _of_text(list)),
    "split": Function(1, 1, _split),
    "join": Function(0, 1, _join),
}
