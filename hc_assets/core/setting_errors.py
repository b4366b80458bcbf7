"""Wrong settings in words: the variable, what was found in it, and what was expected.

Belongs here: turning errors of Pydantic into one line each, without what may be secret. What can be
set is in `settings.py` here and in each domain.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

from hc_assets.core.errors import UsageError

PREFIX = "HC_"
_CLIP = 60
_SCALARS = (str, int, float, bool)
_USER_OF_URL = re.compile(r"(?<=://)[^/@\s]*@")
# `error parsing value for field "landing_folders" from source "EnvSettingsSource"`
_UNREADABLE = re.compile(r'field "(\w+)"')


class SettingError(UsageError):
    """A setting is not what it has to be; one line, and nothing in it is secret."""


@contextmanager
def named_settings(fields: Mapping[str, FieldInfo]) -> Iterator[None]:
    """Say of a wrong setting which one it is.

    Args:
        fields: of the settings that are read in the block. What is found in those that are left out
            of texts (`repr=False`) is not quoted.

    Raises:
        SettingError: in place of Pydantic's errors.
    """
    try:
        yield
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        text = "; ".join(dict.fromkeys(_line(dict(each), fields) for each in found))
        # Pydantic's own texts quote what was found, a secret as well
        raise SettingError(text) from None
    except SettingsError as error:
        named = _UNREADABLE.search(str(error))
        name = named[1] if named else "settings"
        expected = f": {fields[name].description}" if name in fields else ""
        raise SettingError(
            f"{variable(name)}: found text that is no JSON, expected JSON{expected}"
        ) from None


def wrong(name: str, found: str, expected: str) -> SettingError:
    """Make the error of a setting that is refused by whoever uses it.

    Args:
        name: of the field.
        found: what was found in it; no secret.
        expected: what it has to be.
    """
    return SettingError(f"{variable(name)}: found {_quoted(found)}, expected {expected}")


def variable(name: str) -> str:
    """The environment variable of a field."""
    return f"{PREFIX}{name.upper()}"


def _line(error: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    if not error["loc"]:  # several settings contradict each other: the text names them
        return " ".join(_plain(error["msg"]).split())
    name, *inner = map(str, error["loc"])
    place = "".join(f", {each}" for each in inner if each != "[key]")
    text = " ".join(_plain(error["msg"]).split())
    if error["type"] == "value_error" and text.startswith("found "):
        return f"{variable(name)}{place}: {text}"
    is_secret = name in fields and not fields[name].repr
    found = "a value that is not printed" if is_secret else _found(error["input"])
    joined = text if error["type"] == "value_error" else f"expected {text}"
    return f"{variable(name)}{place}: found {found}, {joined}"


def _plain(message: str) -> str:
    """Pydantic's message without its beginning, and without what it tried."""
    text = re.sub(r"^(?:Input should be |Value error, )", "", message)
    text = re.sub(r", unable to .*|, got .*", "", text)
    text = re.sub(r"^(?=(?:greater|less) than)", "a number ", text)
    return "no such name" if text == "Extra inputs are not permitted" else text


def _found(value: object) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, _SCALARS) or value is None:
        return str(value)
    return "an object" if isinstance(value, dict) else "a list"


def _quoted(text: str) -> str:
    shown = _USER_OF_URL.sub("", text)
    return repr(shown if len(shown) <= _CLIP else f"{shown[:_CLIP]}...")
