"""How FHIR names the patients that are known: ids and identifiers of the Patient resources.

Belongs here: reading them from the warehouse. What they are compared with is stated in
`headers.py`.
"""

from collections.abc import Iterator

import msgspec

from hc_assets.lake.warehouse import Warehouse

_ROWS = 1_000
_EXISTS = """
    SELECT count(*) FROM information_schema.tables
    WHERE table_schema = 'fhir' AND table_name = 'current_resources'
"""
_PATIENTS = """
    SELECT resource FROM fhir.current_resources WHERE resource_type = 'Patient' AND NOT is_deleted
"""


class _Identifier(msgspec.Struct):
    value: str | None = None


class _Patient(msgspec.Struct):
    id: str | None = None
    identifier: list[_Identifier] = []


def patient_identifiers(warehouse: Warehouse) -> Iterator[str]:
    """Ids and identifiers of the current Patients, one after the other.

    Args:
        warehouse: where no FHIR was taken in, there are none.
    """
    with warehouse.read() as connection:
        if connection.execute(_EXISTS).fetchall() == [(0,)]:
            return
        rows = connection.execute(_PATIENTS)
        while batch := rows.fetchmany(_ROWS):
            for (resource,) in batch:
                patient = msgspec.json.decode(resource, type=_Patient)
                if patient.id:
                    yield patient.id
                yield from (each.value for each in patient.identifier if each.value)
