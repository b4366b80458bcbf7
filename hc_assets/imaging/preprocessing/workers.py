"""What worker processes run to make arrays: landed files in, Parquet parts written and named.

Belongs here: streaming the record batches of `rows.py` into parts. Which frames become arrays is in
`planning.py`; what becomes of the parts is decided in `imaging/assets.py`.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field

from hc_assets.imaging.headers.file_work import FileWork
from hc_assets.imaging.preprocessing.comparison import Comparison
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.rows import FailedArrays, preprocess_files
from hc_assets.imaging.schemas.index import FAILED_ARRAYS
from hc_assets.lake.parts import Part, PartWriter

# Arrays of several recipes wait side by side, so each writer holds less than the usual part.
_ARRAY_PART_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class ArraysMade:
    """What a piece of work leaves: parts by recipe, and a frame of each to look at.

    `failed` are the parts of `imaging/failed_arrays`.
    """

    number: int
    parts: dict[str, list[Part]]
    comparisons: dict[str, Comparison]
    failed: list[Part] = field(default_factory=list)


def write_arrays(work: FileWork, preprocessing: Preprocessing | None = None) -> ArraysMade:
    """Write `imaging/preprocessed_arrays`, each part of one recipe and so of one shape.

    What became no array is written into `imaging/failed_arrays`.

    Args:
        work: files, with the numbers of the frames wanted of each.
        preprocessing: parameters in place of the defaults.
    """
    layout = work.layout()
    folder = layout.partition("imaging/preprocessed_arrays", work.batch)
    failures = PartWriter(
        layout.partition("imaging/failed_arrays", work.batch), FAILED_ARRAYS, number=work.number
    )
    writers: dict[str, PartWriter] = {}
    comparisons: dict[str, Comparison] = {}
    wanted = zip(work.to_read(), work.frames, strict=True)
    with ExitStack() as stack:
        stack.enter_context(failures)
        for made in preprocess_files(wanted, work.batch, preprocessing):
            if isinstance(made, FailedArrays):
                failures.write(made.rows)
                continue
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
    return ArraysMade(work.number, parts, comparisons, failures.parts)
