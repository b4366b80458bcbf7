"""Everything else: the display pipeline of the file, nothing more.

Belongs here: what is done to frames of modalities that have no module of their own.
"""

from hc_assets.imaging.preprocessing.pipeline import Pipeline
from hc_assets.imaging.preprocessing.radiograph import shown

PIPELINE = Pipeline(
    name="generic",
    version=1,
    shape=(512, 512),
    parameters={"low_percentile": 0.5, "high_percentile": 99.5},
    normalise=shown,
)
