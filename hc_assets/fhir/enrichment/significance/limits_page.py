"""The tables of limits and of plausible values as Markdown, with their sources.

Belongs here: rendering, and the command that writes the file. Limits, bounds and sources are stated
in `limits.py`, `plausible.py` and `sources.py` alone.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from hc_assets.fhir.enrichment.significance.limits import LIMITS, LimitsRow
from hc_assets.fhir.enrichment.significance.plausible import BOUNDS, Bounds
from hc_assets.fhir.enrichment.significance.sources import SOURCES, SOURCES_OF_BOUNDS, Source

_HEAD = """\
# Normal and critical limits

Generated from `hc_assets/fhir/enrichment/significance/` by `make docs`; a test holds it against
that. What is normal, this table says where an observation brings no reference range of its own that
applies; what is critical, it says whatever range the observation brings. Below `LL` is critically
low, below the first normal value low, above the last one high, above `HH` critically high; `<`
before a value says that this value itself is high. Ages are completed years. `looked up` says
whether every source of the row was: how, the table of sources says.

| what | LOINC | unit | age | sex | LL | normal | HH | source | looked up |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
_PLAUSIBLE = """
# Plausible values

What is outside is an issue (`plausible-value`) and has no significance. Beside these, whatever the
code: a count or an activity in a volume and a rate are not negative, a temperature is above
absolute zero. Concentrations of mass or amount may be negative where they have no row: a base
excess is.

| what | LOINC | unit | least | most | from |
| --- | --- | --- | --- | --- | --- |
"""
_SOURCES = """
# Sources

| source | edition, page | looked up |
| --- | --- | --- |
"""
_OLDEST = 200


def render(rows: Iterable[LimitsRow], bounds: Iterable[Bounds], sources: Iterable[Source]) -> str:
    """Render the tables as a Markdown document."""
    return (
        _HEAD
        + "".join(map(line, rows))
        + _PLAUSIBLE
        + "".join(map(_bounds_line, bounds))
        + _SOURCES
        + "".join(map(_source_line, sources))
    )


def page() -> str:
    """The document, of all there is."""
    return render(LIMITS, BOUNDS, (*SOURCES, *SOURCES_OF_BOUNDS))


def line(row: LimitsRow) -> str:
    """Render a row of the table of limits as a line of Markdown."""
    parts = [row.source] if row.sources else []
    if row.critical_source and row.critical_source != row.source:
        parts.append(f"critical: {row.critical_source}")
    first, after = row.ages
    age = f"{first} and older" if after == _OLDEST else f"{first} to {after - 1}"
    unseen = [each.name for each in (*row.sources, *row.critical) if not each.seen]
    return _row(
        row.name,
        ", ".join(row.codes),
        f"`{row.unit}`",
        "below 1" if row.ages == (0, 1) else age,
        row.sex or "",
        _number(row.critical_low),
        _normal(row),
        _number(row.critical_high),
        "; ".join(parts),
        f"not: {', '.join(unseen)}" if unseen else "yes",
    )


def _bounds_line(bounds: Bounds) -> str:
    low, high = f"{bounds.low:g}", f"{bounds.high:g}"
    return _row(bounds.name, ", ".join(bounds.codes), f"`{bounds.unit}`", low, high, bounds.source)


def _source_line(source: Source) -> str:
    return _row(source.name, source.edition, source.seen or "could not be looked up")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _normal(row: LimitsRow) -> str:
    high = _number(row.high) if row.high_is_normal else f"< {_number(row.high)}"
    if row.low is None and row.high is None:
        return ""
    if row.low is None:
        return high if not row.high_is_normal else f"up to {high}"
    if row.high is None:
        return f"from {_number(row.low)}"
    return f"{_number(row.low)} to {high}"


def _number(limit: float | None) -> str:
    return "" if limit is None else f"{limit:g}"


def main() -> None:
    """Write the document to the file named on the command line."""
    parser = argparse.ArgumentParser(description="Write the tables of limits.")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    arguments.file.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
