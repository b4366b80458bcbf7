"""FHIRPath functions that write a text for another medium: base64, hex, HTML, JSON.

Belongs here: `encode`, `decode`, `escape` and `unescape`. Other functions on strings belong to
`functions/strings.py`.
"""

import base64
import html
import re
from collections.abc import Callable, Mapping

import msgspec

from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Scope
from hc_assets.fhir.fhirpath.singletons import Function, check_length, text_of


def _to_json(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]


def _from_json(text: str) -> str:
    # What is no escape stands for itself, a quotation mark among it.
    return _JSON_ESCAPES.sub(lambda m: msgspec.json.decode(f'"{m.group()}"', type=str), text)


def _decoded(decode: Callable[[str], bytes]) -> Callable[[str], str]:
    return lambda text: decode(text).decode()


_JSON_ESCAPES = re.compile(r"(?:\\(?:u.{0,4}|.?))+", re.DOTALL)
# An escape is six characters at most, a letter in hexadecimal eight.
_MOST_GROWTH = 8
_Change = Callable[[str], str]
_ENCODE: dict[str, _Change] = {
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "urlbase64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}
_DECODE: dict[str, _Change] = {
    "hex": _decoded(bytes.fromhex),
    "base64": _decoded(lambda text: base64.b64decode(text, validate=True)),
    "urlbase64": _decoded(lambda text: base64.b64decode(text, b"-_", validate=True)),
}
_ESCAPE: dict[str, _Change] = {"html": html.escape, "json": _to_json}
_UNESCAPE: dict[str, _Change] = {"html": html.unescape, "json": _from_json}


def _written(
    changes: Mapping[str, _Change],
) -> Callable[[Scope, Collection, Collection], Collection]:
    def apply(_: Scope, items: Collection, form: Collection) -> Collection:
        text, name = text_of(items), text_of(form)
        if text is None or name is None:
            return []
        change = changes.get(name)
        if change is None:
            raise EvaluationError(f"a form of text other than {', '.join(changes)}")
        check_length(_MOST_GROWTH * len(text))
        try:
            return [change(text)]
        except (ValueError, msgspec.DecodeError) as error:
            raise EvaluationError("a text that isn't written in the form it is read in") from error

    return apply


# Functions that give a collection.
VALUES: Mapping[str, Function] = {
    "encode": Function(1, 1, _written(_ENCODE)),
    "decode": Function(1, 1, _written(_DECODE)),
    "escape": Function(1, 1, _written(_ESCAPE)),
    "unescape": Function(1, 1, _written(_UNESCAPE)),
}
