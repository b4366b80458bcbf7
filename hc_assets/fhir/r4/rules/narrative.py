"""What FHIR allows as XHTML in a narrative (`Narrative.div`).

Belongs here: the elements and attributes that are allowed, what in them reaches out of the
resource, and the reading of the text. Which rule reports a fault belongs to the invariants `txt-1`
and `txt-2`.
"""

import re
from functools import lru_cache, partial
from xml.parsers import expat

XHTML = "http://www.w3.org/1999/xhtml"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The narrative page of FHIR R4 allows the formatting elements of HTML 4.0, chapters 7 to 11
# (but section 9.4) and 15, links and images; the list is the one that HL7's validator works with.
_ELEMENTS = _words(
    "a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd dfn div "
    "dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li map ol p pre q samp small span strong sub sup "
    "table tbody td tfoot th thead tr tt ul var"
)
_ATTRIBUTES = _words(
    "title style class id idref lang xml:lang xml:space dir accesskey tabindex span width align "
    "valign char charoff abbr axis headers scope rowspan colspan"
)
_ATTRIBUTES_OF = {
    "a": _words("href name charset type hreflang rel rev shape coords"),
    "img": _words("src border alt longdesc height width usemap ismap"),
    "area": _words("shape coords href nohref alt"),
    "blockquote": frozenset({"cite"}),
    "q": frozenset({"cite"}),
    "map": frozenset({"name"}),
    "pre": frozenset({"space"}),
    "table": _words("summary width border frame rules cellspacing cellpadding"),
    "td": frozenset({"nowrap"}),
}

# Browsers leave out control characters and white space where they look for the scheme.
_BLANK = re.compile(r"[\x00-\x20]")
_SCRIPT = re.compile(r"(?:javascript|vbscript):", re.IGNORECASE)
# A page in a link runs its scripts where a viewer follows it.
_DATA_PAGE = re.compile(r"data:(?:text/html|image/svg|application/xhtml|text/xml)", re.IGNORECASE)
_REMOTE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_STYLE_URL = re.compile(r"(?:url\(|@import|image-set\(|src\()", re.IGNORECASE)
_INSIDE_STYLE_URL = re.compile(r"url\(['\"]?(?:#|data:image/(?!svg))", re.IGNORECASE)
_STYLE_SCRIPT = re.compile(r"expression\(|-moz-binding|javascript:|behavior:", re.IGNORECASE)


class _NarrativeError(Exception):
    """What is wrong, to leave the parser with."""


class _Reader:
    """Follows the parser through one narrative."""

    def __init__(self) -> None:
        self.depth = 0
        self.has_content = False
        self.dangers: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.depth == 0:
            if name != "div":
                raise _NarrativeError("the outermost element is not div")
            if attributes.get("xmlns") != XHTML:
                raise _NarrativeError("div is not in the XHTML namespace")
        self.depth += 1
        if name not in _ELEMENTS:
            raise _NarrativeError("an element that narratives may not have")
        for attribute, value in attributes.items():
            if attribute in ("href", "src") and _SCRIPT.match(_BLANK.sub("", value)) is not None:
                raise _NarrativeError("a script in a link")
            danger = _danger(attribute, _BLANK.sub("", value))
            if danger and danger not in self.dangers:
                self.dangers.append(danger)
            if (
                attribute not in _ATTRIBUTES
                and attribute not in _ATTRIBUTES_OF.get(name, ())
                and not attribute.startswith("xmlns")
            ):
                raise _NarrativeError("an attribute that narratives may not have")
        if name == "img":
            self.has_content = True

    def end(self, _name: str) -> None:
        self.depth -= 1

    def text(self, data: str) -> None:
        if not self.has_content and data.strip():
            self.has_content = True

    def entity(self, _name: str, _is_parameter: bool) -> None:
        # The narrative is part of general XML, which has no &nbsp; (R4, narrative: xhtml).
        raise _NarrativeError("an entity of HTML, which XML doesn't define")


def _danger(attribute: str, value: str) -> str:
    """What an attribute, without white space, does to whoever shows it; "" for most."""
    if attribute == "src" and _REMOTE.match(value):
        return "an image that is loaded from elsewhere"
    if attribute == "href" and _DATA_PAGE.match(value):
        return "a link to a page in itself, which may hold scripts"
    if attribute == "style":
        # CSS may write any of its characters as an escape, or break words up with comments
        if "\\" in value or "/*" in value:
            return "a style in which characters are hidden"
        if _STYLE_SCRIPT.search(value):
            return "a script in a style"
        if len(_STYLE_URL.findall(value)) > len(_INSIDE_STYLE_URL.findall(value)):
            return "a style that loads something from elsewhere"
    return ""


def _refuse(what: str, *_: object) -> None:
    raise _NarrativeError(what)


@lru_cache(maxsize=8)
def _read(div: str) -> tuple[str | None, bool, tuple[str, ...]]:
    # The questions below are asked of each narrative in turn: it is read once.
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    # Without a document type any named entity would be an error; with this, unknown ones are given
    # to the handler, and nothing is ever loaded.
    parser.UseForeignDTD(True)
    parser.SkippedEntityHandler = reader.entity
    parser.StartDoctypeDeclHandler = partial(_refuse, "a document type declaration")
    parser.ProcessingInstructionHandler = partial(_refuse, "a processing instruction")
    try:
        parser.Parse(div, True)
    except _NarrativeError as error:
        return str(error), reader.has_content, ()
    except (expat.ExpatError, UnicodeError):
        return "no well-formed XML", False, ()
    return None, reader.has_content, tuple(reader.dangers)


def narrative_fault(div: str) -> str | None:
    """The first thing in a narrative that FHIR doesn't allow.

    Args:
        div: the text of `Narrative.div`.

    Returns:
        What is wrong, without any of the text; None where nothing is.
    """
    return _read(div)[0]


def has_content(div: str) -> bool:
    """Whether a narrative has any text that isn't white space, or an image.

    Args:
        div: the text of `Narrative.div`.

    Returns:
        False too where it is no well-formed XML.
    """
    return _read(div)[1]


def narrative_dangers(div: str) -> tuple[str, ...]:
    """What in an allowed narrative loads from elsewhere, or may run, where it is shown.

    R4 lets a narrative depend on nothing outside of its resource (narrative, section 2.4.0), which
    none of its invariants asks for: an image from elsewhere tells who looks at which patient.

    Args:
        div: the text of `Narrative.div`.

    Returns:
        Each once, without any of the text; nothing where the narrative has a fault.
    """
    return _read(div)[2]
