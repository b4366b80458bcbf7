"""Which arrays still stand: made of the same frames, in the same way, with the same libraries.

Belongs here: comparing what is committed with what is wanted. Making what is missing is in
`workers.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import structs

from hc_assets.imaging.preprocessing.registry import AnyRecipe
from hc_assets.lake.parts import DamagedPartError, Part
from hc_assets.lake.tables import LakeTable

_KEY = ("source_file", "file_sha256", "frame")
_MANNER = ("pipeline", "parameters", "libraries")

Key = tuple[str, str, int]
Group = tuple[int, str]


@dataclass
class _Found:
    parts: list[Part] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    is_stale: bool = False


def standing_parts(
    before: LakeTable, wanted: Mapping[Group, list[Key]], recipes: Mapping[str, AnyRecipe]
) -> dict[Group, list[Part]]:
    """Find the parts that need not be written again.

    Args:
        before: what is committed of one batch, by the present version of the code.
        wanted: frames in order, by number of their work and label of their recipe.
        recipes: by label, with their present parameters.

    Returns:
        Parts by number of work and recipe, only where all of its frames are there, and no other,
        each with the present parameters and libraries. A part that is damaged stands for nothing.
    """
    groups: dict[Group, _Found] = {}
    for folder, made in before.partitions:
        for part in made.parts:
            alone = LakeTable(
                before.table, before.folder, [(folder, structs.replace(made, parts=[part]))]
            )
            _look_at(alone, part, groups, recipes)
    return {
        group: found.parts
        for group, found in groups.items()
        if not found.is_stale and found.keys == wanted.get(group)
    }


def _look_at(
    alone: LakeTable,
    part: Part,
    groups: dict[Group, _Found],
    recipes: Mapping[str, AnyRecipe],
) -> None:
    try:
        rows = [row for batch in alone.batches([*_KEY, *_MANNER]) for row in batch.to_pylist()]
    except DamagedPartError:
        return  # its group lacks frames, and so is rebuilt
    for label in {row["pipeline"] for row in rows}:
        found = groups.setdefault((part.number, label), _Found())
        found.parts.append(part)
        found.is_stale |= len({row["pipeline"] for row in rows}) > 1
    for row in rows:
        found = groups[part.number, row["pipeline"]]
        found.keys.append((row["source_file"], row["file_sha256"], row["frame"]))
        recipe = recipes.get(row["pipeline"])
        found.is_stale |= recipe is None or (
            (row["parameters"], row["libraries"])
            != (recipe.parameters_json(), recipe.libraries_json())
        )
