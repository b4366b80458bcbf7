"""The table of normal and critical limits as Markdown, from `limits.py`.

Belongs here: rendering, and the command that writes the file. The limits and their sources are
stated there alone.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from hc_assets.fhir.enrichment.significance.limits import LIMITS, LimitsRow

_HEAD = """\
# Normal and critical limits

Generated from `hc_assets/fhir/enrichment/significance/limits.py` by `make docs`; a test holds it
against that. An observation is held against this table where it brings no reference range of
its own that applies. Below `LL` is critically low, below the first normal value low, above the last
one high, above `HH` critically high; `<` before a value says that this value itself is high. Ages
are completed years.

| what | LOINC | unit | age | sex | LL | normal | HH | source |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
_OLDEST = 200


def render(rows: Iterable[LimitsRow]) -> str:
    """Render rows of the table as a Markdown document."""
    return _HEAD + "".join(map(_line, rows))


def _line(row: LimitsRow) -> str:
    source = row.source
    if row.critical_source and row.critical_source != row.source:
        source += f"; critical: {row.critical_source}"
    first, after = row.ages
    age = f"{first} and older" if after == _OLDEST else f"{first} to {after - 1}"
    cells = (
        row.name,
        ", ".join(row.codes),
        f"`{row.unit}`",
        "below 1" if row.ages == (0, 1) else age,
        row.sex or "",
        _number(row.critical_low),
        _normal(row),
        _number(row.critical_high),
        source,
    )
    return f"| {' | '.join(cells)} |\n"


def _normal(row: LimitsRow) -> str:
    high = _number(row.high) if row.high_is_normal else f"< {_number(row.high)}"
    if row.low is None:
        return high if not row.high_is_normal else f"up to {high}"
    if row.high is None:
        return f"from {_number(row.low)}"
    return f"{_number(row.low)} to {high}"


def _number(limit: float | None) -> str:
    return "" if limit is None else f"{limit:g}"


def main() -> None:
    """Write the table to the file named on the command line."""
    parser = argparse.ArgumentParser(description="Write the table of limits.")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    arguments.file.write_text(render(LIMITS), encoding="utf-8")


if __name__ == "__main__":
    main()
