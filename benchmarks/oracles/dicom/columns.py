"""What a judge's dataset says of a column of our index.

Belongs here: where the column's element is, in the dataset or in the first frame's functional
groups, and the value that it would have.
"""

from contextlib import suppress
from datetime import date

from benchmarks.oracles.dicom.neutral import ITEMS, NUMBERS, TEXT, Dataset, Element
from hc_assets.imaging.headers.columns import Column, Kind
from hc_assets.imaging.headers.functional_groups import MACROS, PER_FRAME_GROUPS, SHARED_GROUPS


def column_opinion(column: Column, dataset: Dataset) -> object | None:
    """The value that a column would have by a judge's dataset; None where there is no opinion."""
    element = _element(column.tag, dataset)
    if element is None or element[1] not in (TEXT, NUMBERS) or not element[2]:
        return None
    _, kind, values = element
    values = [value for value in values if value != ""]
    if column.kind is Kind.TEXTS:
        return [str(value) for value in values] if kind == TEXT else None
    if column.kind is Kind.NUMBERS:
        return [float(value) for value in values] if kind == NUMBERS else None
    if len(values) != 1:
        return None
    if column.kind is Kind.TEXT:
        return str(values[0]) if kind == TEXT else None
    if column.kind is Kind.DATE:
        digits = str(values[0]).replace(".", "")
        with suppress(ValueError):
            return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        return None
    return float(values[0]) if kind == NUMBERS else None


def _element(tag: int, dataset: Dataset) -> Element | None:
    name = f"{tag:08X}"
    macro = f"{MACROS.get(tag, 0):08X}"
    for groups in (f"{PER_FRAME_GROUPS:08X}", f"{SHARED_GROUPS:08X}"):
        for group in _items(dataset, groups)[:1]:
            for item in _items(group, macro)[:1]:
                if name in item:
                    return item[name]
    return dataset.get(name)


def _items(dataset: Dataset, tag: str) -> list[Dataset]:
    element = dataset.get(tag)
    return element[2] if element is not None and element[1] == ITEMS else []
