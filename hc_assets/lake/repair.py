"""What damage can be mended without rebuilding, and what has to go so that it is rebuilt.

Belongs here: copying landed files again, and setting damaged partitions and exports aside. The jobs
that rebuild them are started in `cli/lake.py`; damage is found in `integrity.py`.
"""

from collections.abc import Iterable

from upath import UPath

from hc_assets.lake.atomic import atomic_file
from hc_assets.lake.hashes import sha256_of
from hc_assets.lake.integrity import Damage
from hc_assets.lake.layout import COMMIT_NAME, MANIFEST_NAME, Layout
from hc_assets.lake.manifests import LandedFile, read_manifest

_BLOCK = 1024 * 1024


def copy_again(layout: Layout, found: Iterable[Damage]) -> set[Damage]:
    """Copy landed files again from where they came from, if the same bytes lie there still.

    Args:
        layout: where the batches are.
        found: damage, of landed files and of all else.

    Returns:
        What could be mended so. Not files of archives, and no manifests.
    """
    mended = set()
    for each in found:
        if not each.kind or each.batch is None or each.path.name == MANIFEST_NAME:
            continue
        files = read_manifest(layout, each.kind, each.batch).files
        # Two names may have the same bytes
        if any(_copied(layout, each, f) for f in files if f.stored == each.path.name):
            mended.add(each)
    return mended


def _copied(layout: Layout, damaged: Damage, file: LandedFile) -> bool:
    # A name that is absolute leads there
    source = layout.landing(damaged.kind) / file.source_file
    try:
        if not source.is_file() or sha256_of(source) != file.sha256:
            return False
        target: UPath = damaged.path
        with source.open("rb") as stream, atomic_file(target.parent, lambda _: target) as sink:
            while block := stream.read(_BLOCK):
                sink.write(block)
    except OSError:
        return False  # what it can't be copied from is as good as gone, and stays named
    return sink.hexdigest() == file.sha256


def set_aside(layout: Layout, found: Iterable[Damage]) -> None:
    """Remove damaged parts, commits and exports, and the commits that list them.

    The partitions count as not made yet.
    """
    for each in found:
        is_exported = each.name.startswith("exports/")
        folder = layout.partition(each.table, None) if is_exported else each.path.parent
        # Views look at every part, whether it is committed or not
        each.path.unlink(missing_ok=True)
        (folder / COMMIT_NAME).unlink(missing_ok=True)
