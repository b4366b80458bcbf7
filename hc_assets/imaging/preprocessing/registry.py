"""Which recipe a modality gets.

Belongs here: the one table. A further modality is a module and a line.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from hc_assets.imaging.preprocessing import ct, generic, mg, mr, nuclear, radiograph, us
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.recipe import Recipe

AnyRecipe = Recipe[Any]

RECIPES: Mapping[str, AnyRecipe] = {
    "CT": ct.RECIPE,
    "MR": mr.RECIPE,
    "CR": radiograph.RECIPE,
    "DX": radiograph.RECIPE,
    "US": us.RECIPE,
    "MG": mg.RECIPE,
    "PT": nuclear.RECIPE,
    "NM": nuclear.RECIPE,
}


def recipe_for(modality: str, preprocessing: Preprocessing | None = None) -> AnyRecipe:
    """Return the recipe of a modality.

    Args:
        modality: (0008,0060); the generic recipe takes those that have none of their own.
        preprocessing: parameters in place of the defaults.
    """
    recipe = RECIPES.get(modality, generic.RECIPE)
    return recipe if preprocessing is None else _configured(recipe.name, preprocessing)


def recipes(preprocessing: Preprocessing) -> Mapping[str, AnyRecipe]:
    """Return every recipe by its label, with its parameters."""
    every = {each.name for each in RECIPES.values()} | {generic.RECIPE.name}
    made = [_configured(name, preprocessing) for name in sorted(every)]
    return {recipe.label: recipe for recipe in made}


@cache
def _configured(name: str, preprocessing: Preprocessing) -> AnyRecipe:
    every = {each.name: each for each in (*RECIPES.values(), generic.RECIPE)}
    return every[name].with_parameters(
        getattr(preprocessing, name), preprocessing.aspect, preprocessing.dtype
    )
