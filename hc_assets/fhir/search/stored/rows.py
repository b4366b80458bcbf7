"""The values of resources as rows of an index file's tables.

Belongs here: from resources to columns. Values come from `fhir/search/index.py`.
"""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

import msgspec
import pyarrow as pa

from hc_assets.fhir.search.known import known_index
from hc_assets.fhir.search.stored import blocks
from hc_assets.fhir.search.stored.layout import (
    BEGINNING,
    END,
    GREATEST,
    LEAST,
    TABLES,
    by_type,
    key_of,
    ordered,
    part_of,
)
from hc_assets.fhir.search.texts import normal
from hc_assets.fhir.search.values import (
    Amount,
    Composite,
    Interval,
    Number,
    Reference,
    Simple,
    Text,
    Token,
)

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def span(low: Decimal | None, high: Decimal | None, value: Decimal | None) -> tuple[str, str]:
    """The ends of a number as they are kept: twice itself, or those of its range."""
    if value is not None:
        text = ordered(value)
        return text, text
    return (
        LEAST if low is None else ordered(low),
        GREATEST if high is None else ordered(high),
    )


class Rows:
    """Rows of all tables, as they are gathered."""

    def __init__(self) -> None:
        """Begin with none."""
        self.refused: Counter[str] = Counter()
        self.count = 0
        self._block: list[bytes] = []
        self._begin()

    def _begin(self) -> None:
        self._rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in TABLES}

    def add(self, contents: Iterable[bytes], sources: Iterable[str | None]) -> None:
        """Add resources; one whose values can't be read is counted, and left out.

        Args:
            contents: of valid resources.
            sources: of each of them.
        """
        for content, source in zip(contents, sources, strict=True):
            resource = _decode(content)
            type_ = resource["resourceType"]
            try:
                found = known_index(type_).values(resource)
            except (ValueError, ArithmeticError) as error:
                self.refused[f"{type_}: {type(error).__name__}"] += 1
                continue
            row, of = self.count, source or ""
            named = (type_, resource["id"], of)
            self._rows["resources"].append((row, *named, len(self._block)))
            self._block.append(content)
            composites = 0
            for code, value in found:
                if isinstance(value, Composite):
                    composites += 1
                    for number, part in enumerate(value.parts):
                        key = key_of(type_, part_of(code, number))
                        self._add(key, composites, part, row, of)
                    continue
                self._add(key_of(type_, code), 0, value, row, of)
                if isinstance(value, Token) and value.types:
                    key = key_of(type_, by_type(code))
                    for system, kind in value.types:
                        typed = (key, 0, value.code, f"{system or ''}|{kind or ''}", None, row)
                        self._rows["tokens"].append(typed)
            self.count += 1
            if len(self._block) >= blocks.RESOURCES or sum(map(len, self._block)) >= blocks.BYTES:
                self._end_block()

    def _end_block(self) -> None:
        if self._block:
            packed = blocks.pack(self._block)
            self._rows["contents"].append((self.count - len(self._block), packed))
            self._block = []

    def _add(self, key: int, part: int, value: Simple, row: int, source: str) -> None:
        rows = self._rows
        if isinstance(value, Token):
            text = None if value.text is None else normal(value.text)
            rows["tokens"].append((key, part, value.code, value.system or "", text, row))
        elif isinstance(value, Reference):
            system, code = value.identifier or (None, None)
            identity = None if value.identifier is None else system or ""
            named = (value.type, value.id, value.url, value.version)
            rows["refs"].append((key, part, *named, source, identity, code, row))
        elif isinstance(value, Interval):
            low = BEGINNING if value.low is None else value.low
            high = END if value.high is None else value.high
            rows["dates"].append((key, part, low, high, row))
        elif isinstance(value, Text):
            rows["texts"].append((key, part, value.normal, value.exact, row))
        elif isinstance(value, Amount):
            ends = span(value.low, value.high, value.value)
            base: tuple[str | None, str | None] = (None, None)
            if value.base_unit is not None:
                base = span(value.base_low, value.base_high, value.base_value)
            unit = (value.system or "", value.code, value.unit, value.base_unit)
            rows["amounts"].append((key, part, *ends, *unit, *base, row))
        elif isinstance(value, Number):
            ends = span(value.low, value.high, value.value)
            rows["numbers"].append((key, part, *ends, row))
        else:
            rows["uris"].append((key, part, value.uri, row))

    def take(self) -> dict[str, pa.Table]:
        """The rows gathered since the last time, by table; rows go on being counted."""
        self._end_block()
        made = {}
        for name, schema in TABLES.items():
            columns = list(zip(*self._rows[name], strict=True)) or [()] * len(schema)
            made[name] = pa.Table.from_arrays(
                [
                    pa.array(column, field.type)
                    for column, field in zip(columns, schema, strict=True)
                ],
                schema=schema,
            )
        self._begin()
        return made
