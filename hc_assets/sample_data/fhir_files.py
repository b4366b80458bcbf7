"""FHIR resources put into files: transaction bundles, and a Bulk Data export as NDJSON.

Belongs here: who goes into which file, how resources refer to one another there, and the bytes.
Resources are made in `fhir_resources.py`, `observations.py` and `imaging_resources.py`.
"""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

import msgspec

from hc_assets.sample_data import fhir_resources as made
from hc_assets.sample_data.histories import History, Visit
from hc_assets.sample_data.imaging_resources import imaging_report, imaging_study, imaging_visit
from hc_assets.sample_data.observations import Refer, Resource, visit_observations, visit_reports
from hc_assets.sample_data.patients import LAST_DAY, Carer, House
from hc_assets.sample_data.seeded import uuid_of
from hc_assets.sample_data.studies import Study

_ENCODER = msgspec.json.Encoder(decimal_format="number")  # 37.0 stays 37.0
_PUT_TYPES = {"Organization", "Practitioner", "Patient"}
_COMPRESSED_TYPE = "Observation"
_EXPORTED_AT = datetime.combine(LAST_DAY, time(23, 0), UTC)
_INDENTED_EVERY = 3  # some senders indent their JSON, most don't


@dataclass
class Entry:
    """One resource of a file; `raw` stands in for its bytes where a flaw needs other ones."""

    resource: Resource
    raw: bytes | None = None

    @property
    def resource_type(self) -> str:
        """The type it names; "" where the resource can't be parsed."""
        return "" if self.raw is not None else str(self.resource["resourceType"])

    def content(self) -> bytes:
        """JSON of the resource, on one line."""
        return self.raw if self.raw is not None else _ENCODER.encode(self.resource)


@dataclass
class FhirFile:
    """A FHIR file to be written.

    Attributes:
        name: relative to the sample's folder.
        entries: its resources, in order.
        render: makes the file's bytes from them.
    """

    name: str
    render: Callable[["FhirFile"], bytes]
    entries: list[Entry] = field(default_factory=list)

    @property
    def is_bundle(self) -> bool:
        """Whether it is a bundle, so that each entry must be JSON."""
        return self.render is not _ndjson

    def content(self) -> bytes:
        """The file's bytes."""
        return self.render(self)


def make_fhir_files(
    seed: int,
    histories: list[History],
    studies: list[Study],
    houses: list[House],
    carers: list[Carer],
) -> list[FhirFile]:
    """Put half the people into a bundle each, the others into one export."""
    bundled = [each for each in histories if each.person.index % 4 in (0, 3)]
    exported = [each for each in histories if each.person.index % 4 in (1, 2)]
    world = _World(seed, studies, houses, carers)
    files = [world.bundle(number, history) for number, history in enumerate(bundled, start=1)]
    return files + world.export(exported) if exported else files


@dataclass(frozen=True)
class _World:
    seed: int
    studies: list[Study]
    houses: list[House]
    carers: list[Carer]

    def bundle(self, number: int, history: History) -> FhirFile:
        """Make a transaction bundle whose entries refer to one another by urn:uuid."""
        studies = self._studies_of(history)
        visits = [*history.visits, *map(imaging_visit, studies)]
        carers = [self.carers[index] for index in sorted({visit.carer for visit in visits})]
        resources = [made.organization(house) for house in self.houses]
        resources += [made.practitioner(carer) for carer in carers]
        resources += self._of_person(history, studies, _by_urn)
        indented = number % _INDENTED_EVERY == 0
        return FhirFile(
            f"fhir/bundles/bundle-{number:04d}.json",
            _indented_bundle if indented else _bundle,
            [Entry(resource) for resource in resources],
        )

    def export(self, histories: list[History]) -> list[FhirFile]:
        """Make an export: a file per type, references by type and id, meta as a server gives it."""
        resources = [made.organization(house) for house in self.houses]
        resources += [made.practitioner(carer) for carer in self.carers]
        for history in histories:
            resources += self._of_person(history, self._studies_of(history), _by_type_and_id)
        files: dict[str, FhirFile] = {}
        for resource in resources:
            type_ = resource["resourceType"]
            ending = "ndjson.gz" if type_ == _COMPRESSED_TYPE else "ndjson"
            file = files.setdefault(type_, FhirFile(f"fhir/bulk/{type_}.{ending}", _ndjson))
            file.entries.append(Entry(_served(resource)))
        return [files[type_] for type_ in sorted(files)]

    def _studies_of(self, history: History) -> list[Study]:
        return [study for study in self.studies if study.person.id == history.person.id]

    def _of_person(self, history: History, studies: list[Study], refer: Refer) -> list[Resource]:
        resources = [made.patient(history.person, self.houses[0], refer)]
        for visit in history.visits:
            resources += self._of_visit(history, visit, refer)
        for study in studies:
            visit = imaging_visit(study)
            resources += self._of_visit(history, visit, refer)
            resources += [imaging_study(study, refer), imaging_report(study, refer)]
        return resources

    def _of_visit(self, history: History, visit: Visit, refer: Refer) -> Iterator[Resource]:
        person = history.person
        house = self.houses[0 if visit.kind == "imaging" else 1]
        yield made.encounter(visit, person, self.carers, house, refer)
        for problem in visit.found:
            yield made.condition(problem, visit, person, refer)
        yield from visit_observations(self.seed, history, visit, refer)
        yield from visit_reports(self.seed, history, visit, refer)
        for prescription in visit.prescriptions:
            yield made.medication_request(prescription, visit, person, self.carers, refer)


def _by_urn(_type: str, id_: str) -> dict[str, Any]:
    return {"reference": f"urn:uuid:{id_}"}


def _by_type_and_id(type_: str, id_: str) -> dict[str, Any]:
    return {"reference": f"{type_}/{id_}"}


def _served(resource: Resource) -> Resource:
    """Add what a server adds, behind the id, where servers put it."""
    meta = {"versionId": "1", "lastUpdated": _EXPORTED_AT.isoformat(timespec="milliseconds")}
    return {
        "resourceType": resource["resourceType"],
        "id": resource["id"],
        "meta": meta,
        **{name: value for name, value in resource.items() if name not in ("resourceType", "id")},
    }


def _ndjson(file: FhirFile) -> bytes:
    lines = b"".join(entry.content() + b"\n" for entry in file.entries)
    return gzip.compress(lines, mtime=0) if file.name.endswith(".gz") else lines


def _bundle(file: FhirFile) -> bytes:
    bundle = {
        "resourceType": "Bundle",
        "id": uuid_of(0, file.name, *(str(entry.resource["id"]) for entry in file.entries[:3])),
        "type": "transaction",
        "entry": [_bundle_entry(entry) for entry in file.entries],
    }
    return _ENCODER.encode(bundle)


def _indented_bundle(file: FhirFile) -> bytes:
    return msgspec.json.format(_bundle(file), indent=2) + b"\n"


def _bundle_entry(entry: Entry) -> dict[str, Any]:
    type_, id_ = entry.resource["resourceType"], entry.resource["id"]
    request = (
        {"method": "PUT", "url": f"{type_}/{id_}"}
        if type_ in _PUT_TYPES
        else {"method": "POST", "url": type_}
    )
    return {
        "fullUrl": f"urn:uuid:{id_}",
        "resource": msgspec.Raw(entry.content()),
        "request": request,
    }
