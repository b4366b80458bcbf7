"""How a batch's tables came to be, as FHIR's Provenance: one resource per step.

Belongs here: making the resources from what the commits say. Which steps there are, and where they
are kept, is in `assets.py`. Built on `fhir.resources`, as all that the project itself creates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir.resources.R4B.provenance import Provenance

from hc_assets.fhir.enrichment.extensions import ROW_COUNT, canonical, url

# Object identifier of the algorithm SHA-256 (NIST, Computer Security Objects Register).
_SHA256 = "urn:oid:2.16.840.1.101.3.4.2.1"
_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"


@dataclass(frozen=True)
class Made:
    """Something that a step read or made: its name, its hash, and its rows.

    Attributes:
        name: free of patient data.
        sha256: in hex.
        rows: None where it has none, as a set of files.
    """

    name: str
    sha256: str
    rows: int | None = None


@dataclass(frozen=True)
class Step:
    """A step over one batch: its name, the version of its code, what it read and what it made."""

    name: str
    code_version: str
    inputs: Sequence[Made]
    outputs: Sequence[Made]


def provenance_id(batch: str, step: Step) -> str:
    """Id of the Provenance of a step over a batch."""
    return f"{batch}-{step.name}"


def provenance(step: Step, *, batch: str, recorded: datetime, base: str, software: str) -> bytes:
    """Write the Provenance of a step.

    Args:
        step: what was done.
        batch: key of the batch.
        recorded: when the batch landed: the resource says the same whenever the step is run again.
        base: URL that our extensions share.
        software: name and version of what did it.

    Returns:
        JSON of the resource. Its targets and entities are logical references by hash, with
        the count of rows as an extension; its agent names the version of the code.
    """
    resource = Provenance.model_validate(
        {
            "id": provenance_id(batch, step),
            "meta": {"lastUpdated": recorded.isoformat(timespec="seconds")},
            "target": [{**_counted(made, base), **_reference(made)} for made in step.outputs],
            "recorded": recorded.isoformat(timespec="seconds"),
            "activity": {
                "coding": [{"system": _OPERATION, "code": "CREATE", "display": "create"}],
                "text": step.name,
            },
            "agent": [
                {
                    "type": {"coding": [{"system": _PARTICIPANT, "code": "assembler"}]},
                    "who": {
                        "identifier": {
                            "system": canonical(base, "NamingSystem", "code-version"),
                            "value": f"{step.name}/{step.code_version}",
                        },
                        "display": f"{software}, {step.name} code version {step.code_version}",
                    },
                }
            ],
            "entity": [
                {**_counted(made, base), "role": "source", "what": _reference(made)}
                for made in step.inputs
            ],
        }
    )
    return resource.model_dump_json(exclude_none=True).encode()


def _reference(made: Made) -> dict[str, Any]:
    return {"identifier": {"system": _SHA256, "value": made.sha256}, "display": made.name}


def _counted(made: Made, base: str) -> dict[str, Any]:
    if made.rows is None:
        return {}
    return {"extension": [{"url": url(base, ROW_COUNT), "valueUnsignedInt": made.rows}]}
