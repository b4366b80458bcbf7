"""What worker processes run to make arrays: landed files in, Parquet parts written and named.

Belongs here: streaming the record batches of `rows.py` into parts. Which frames become arrays is in
`planning.py`; what becomes of the parts is decided in `imaging/assets.py`.
"""

from contextlib import ExitStack
from dataclasses import dataclass

from hc_assets.imaging.headers.file_work import FileWork
from hc_assets.imaging.preprocessing.comparison import Comparison
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.rows import preprocess_files
from hc_assets.lake.parts import Part, PartWriter

# Arrays of several recipes wait side by side, so each writer holds less than the usual part.
_ARRAY_PART_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class ArraysMade:
    """What a piece of work leaves: parts by recipe, and a frame of each to look at."""

    number: int
    parts: dict[str, list[Part]]
    comparisons: dict[str, Comparison]


def write_arrays(work: FileWork, preprocessing: Preprocessing | None = None) -> ArraysMade:
    """Write `imaging/preprocessed_arrays`, each part of one recipe and so of one shape.

    Args:
        work: files, with the numbers of the frames wanted of each.
        preprocessing: parameters in place of the defaults.
    """
    folder = work.layout().partition("imaging/preprocessed_arrays", work.batch)
    writers: dict[str, PartWriter] = {}
    comparisons: dict[str, Comparison] = {}
    wanted = zip(work.to_read(), work.frames, strict=True)
    with ExitStack() as stack:
        for made in preprocess_files(wanted, work.batch, preprocessing):
            if made.recipe not in writers:
                writers[made.recipe] = stack.enter_context(
                    PartWriter(
                        folder, made.rows.schema, number=work.number, part_bytes=_ARRAY_PART_BYTES
                    )
                )
            writers[made.recipe].write(made.rows)
            if made.comparison is not None:
                comparisons.setdefault(made.recipe, made.comparison)
    parts = {name: writers[name].parts for name in sorted(writers)}
    return ArraysMade(work.number, parts, comparisons)
