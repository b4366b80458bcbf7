"""What a batch says about its patients and encounters, for judging the other resources in it.

Belongs here: facts that one resource needs of another, read from the raw rows of the batch. What is
made of them is in `fhir/references.py` and `business_rules.py`.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from hc_assets.core.fence import InternalError, fenced
from hc_assets.fhir.bundles.requests import IDENTITY, known_id
from hc_assets.fhir.times import first_day_of
from hc_assets.lake.tables import opened_part, rows_of

_CACHED_BATCHES = 4

# Rows, by hash of their file and position, of which nothing can be said since that raises.
Failures = dict[tuple[str, int], InternalError]


class BundleTargets(NamedTuple):
    """Where references within bundles lead: `<type>/<id>` by fullUrl, by hash of the file."""

    by_file: dict[str, dict[str, str]]
    failures: Failures


class BirthDates(NamedTuple):
    """Birth dates of patients by source and id, as FHIR writes them."""

    by_patient: dict[tuple[str | None, str], str]
    failures: Failures


class _Patient(msgspec.Struct):
    birth_date: Any = msgspec.field(name="birthDate", default=None)


_decode_patient = msgspec.json.Decoder(_Patient).decode


@lru_cache(maxsize=_CACHED_BATCHES)
def bundle_targets(siblings: tuple[str, ...]) -> BundleTargets:
    """Where `urn:uuid:` references to patients and encounters lead.

    Args:
        siblings: paths of the raw parts that hold the bundles whole.
    """
    targets: dict[str, dict[str, str]] = {}
    failures: Failures = {}
    columns = ["source_sha256", "position", *IDENTITY]
    for path in siblings:
        with UPath(path).open("rb") as stream:
            table = pq.read_table(
                stream,
                columns=columns,
                filters=[("resource_type", "in", ["Patient", "Encounter"])],
                page_checksum_verification=True,
            )
        for row in table.to_pylist():
            id_ = fenced(known_id, row)
            if isinstance(id_, InternalError):
                failures[row["source_sha256"], row["position"]] = id_
            elif row["full_url"] and id_:
                of_file = targets.setdefault(row["source_sha256"], {})
                of_file[row["full_url"]] = f"{row['resource_type']}/{id_}"
    return BundleTargets(targets, failures)


@lru_cache(maxsize=_CACHED_BATCHES)
def birth_dates(siblings: tuple[str, ...], parts: tuple[str, ...]) -> BirthDates:
    """Birth date of patients by source and id, as FHIR writes it.

    Bundles bring their patient along. NDJSON brings patients in a file of their own, and so in row
    groups of their own: those are read from the other parts too, and no others, so that the cost
    does not grow with the square of the batch.

    Args:
        siblings: paths of the raw parts whose rows came in together.
        parts: paths of all raw parts of the batch.
    """
    dates: dict[tuple[str | None, str], str] = {}
    failures: Failures = {}
    for path in parts:
        for table in _patient_rows(path, mixed_too=path in siblings):
            for row in table.to_pylist():
                born = fenced(_birth_date, row["resource"])
                if isinstance(born, InternalError):
                    failures[row["source_sha256"], row["position"]] = born
                elif row["resource_id"] and born:
                    dates[row["source"], row["resource_id"]] = born
    return BirthDates(dates, failures)


_PATIENT_COLUMNS = [
    "source_sha256",
    "position",
    "source",
    "resource_type",
    "resource_id",
    "resource",
]


def _patient_rows(path: str, *, mixed_too: bool) -> Iterator[pa.RecordBatch]:
    with opened_part(path) as file:
        column = file.schema_arrow.get_field_index("resource_type")
        for group in range(file.num_row_groups):
            types = file.metadata.row_group(group).column(column).statistics
            if types is None or not types.has_min_max or not types.min <= "Patient" <= types.max:
                continue
            if not mixed_too and types.min != types.max:
                continue
            for rows in rows_of(file, group, _PATIENT_COLUMNS, UPath(path).parent.parent):
                yield rows.filter(pc.equal(rows["resource_type"], "Patient"))


def _birth_date(resource: bytes | None) -> str | None:
    if resource is None:
        return None
    try:
        born = _decode_patient(resource).birth_date
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # such a patient is quarantined with the reason
    if not isinstance(born, str):
        return None
    try:
        return born if first_day_of(born) else None
    except ValueError:
        return None  # no date at all, as its quarantine says
