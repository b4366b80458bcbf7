"""Everything else: the display pipeline of the file, nothing more.

Belongs here: what is done to frames of modalities that have no module of their own.
"""

from hc_assets.imaging.preprocessing.parameters import GenericParameters
from hc_assets.imaging.preprocessing.radiograph import as_displayed
from hc_assets.imaging.preprocessing.recipe import Recipe

RECIPE = Recipe(
    name="generic",
    version=2,
    parameters=GenericParameters(),
    normalise=as_displayed,
)
