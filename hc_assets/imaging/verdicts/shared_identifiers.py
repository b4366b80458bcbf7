"""SOPInstanceUIDs that stand for more than one content, over all batches.

Belongs here: finding them in the index's Parquet, in bounded memory. What is thought of them is
stated in `headers.py`.
"""

import tempfile
from collections.abc import Sequence

import duckdb

# Beyond it the join spills to disk
_MEMORY = "512MB"
_THREADS = 2


def count_conflicts(own: Sequence[str], parts: Sequence[str]) -> tuple[int, int]:
    """Count the identifiers of some files, and those that stand for files with different bytes.

    Only the columns of identifiers and hashes are read; memory follows the files of `own`, never
    those of `parts`: each is looked up as it is read, and its hash is read only where it is found.

    Args:
        own: paths of the parts of the index with the files in question.
        parts: paths of all parts, those of `own` among them.

    Returns:
        How many of the identifiers of `own` stand for files with different SHA-256, anywhere in
        `parts`, and how many there are. Files without an identifier do not count.
    """
    if not own:
        return 0, 0
    with (
        tempfile.TemporaryDirectory() as spill,
        duckdb.connect(
            config={"temp_directory": spill, "memory_limit": _MEMORY, "threads": _THREADS}
        ) as connection,
    ):
        counts = connection.execute(
            """
            WITH asked AS (
                SELECT DISTINCT sop_instance_uid FROM read_parquet(?, hive_partitioning = false)
                WHERE sop_instance_uid IS NOT NULL
            ), contents AS (
                SELECT count(DISTINCT file_sha256) AS number
                FROM read_parquet(?, hive_partitioning = false)
                WHERE sop_instance_uid IN (SELECT sop_instance_uid FROM asked)
                GROUP BY sop_instance_uid
            )
            SELECT count(*) FILTER (number > 1), count(*) FROM contents
            """,
            [list(own), list(parts)],
        ).fetchone()
    if counts is None:
        raise RuntimeError("an aggregate without groups gave no row")
    conflicting, checked = counts
    return int(conflicting), int(checked)
