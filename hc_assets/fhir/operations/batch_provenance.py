"""The steps of a batch, read from its manifest and its commits.

Belongs here: which table is made of which. How a step is written down is in `provenance.py`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version

import msgspec
import pyarrow as pa

from hc_assets.core.fence import InternalError, fenced
from hc_assets.fhir.operations.provenance import Made, Step, provenance, provenance_id
from hc_assets.fhir.operations.schemas import PROVENANCE_RESOURCES
from hc_assets.fhir.validation.problems import internal_error
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets.lake.parts import Commit
from hc_assets.lake.tables import read_partition

_RAW, _VALIDATED = "fhir/raw_bundles", "fhir/validated_resources"
_QUARANTINED, _ENRICHED = "fhir/quarantined_resources", "fhir/enriched_resources"
TABLES = (_RAW, _VALIDATED, _QUARANTINED, _ENRICHED)
# Name, what it reads, what it makes; the first reads the landed files.
_STEPS = (
    ("split", (), (_RAW,)),
    ("validate", (_RAW,), (_VALIDATED, _QUARANTINED)),
    ("enrich", (_VALIDATED,), (_ENRICHED,)),
)


def batch_provenance(layout: Layout, batch: str, base: str) -> pa.Table:
    """Write the Provenance of each step of a batch.

    Args:
        layout: where the batch and its tables are.
        batch: its key.
        base: URL that our extensions share.

    Returns:
        A row of `fhir/provenance_resources` for each step; where anything is raised for one
        (`core/fence.py`), without a resource and with the reason.

    Raises:
        MissingPartitionError: a step was not run.
    """
    manifest = read_manifest(layout, "fhir", batch)
    commits = {name: read_partition(layout, name, batch).partitions[0][1] for name in TABLES}
    landed = Made("landed files", manifest.content_sha256)
    landed_at = datetime.fromisoformat(manifest.landed_at)
    rows = []
    for step in _steps(commits, landed):
        made = fenced(
            provenance,
            step,
            batch=batch,
            recorded=landed_at,
            base=base,
            software=f"hc_assets {version('hc-assets')}",
        )
        row: dict[str, object] = {"batch": batch, "step": step.name}
        row["resource_id"] = provenance_id(batch, step)
        if isinstance(made, InternalError):
            row["issues"] = [msgspec.structs.asdict(internal_error(made))]
        else:
            row["resource"] = made
        rows.append(row)
    return pa.Table.from_pylist(rows, PROVENANCE_RESOURCES)


def _steps(commits: Mapping[str, Commit], landed: Made) -> Iterator[Step]:
    for name, inputs, outputs in _STEPS:
        yield Step(
            name,
            commits[outputs[0]].code_version or "",
            [_made(commits[table]) for table in inputs] or [landed],
            [_made(commits[table]) for table in outputs],
        )


def _made(commit: Commit) -> Made:
    return Made(commit.table, commit.digest(), commit.rows)
