"""The parameters of preprocessing: shape, proportions, numbers and choices of every recipe.

Belongs here: names, defaults and limits. What a number does is in the module of its modality. Kept
free of imaging libraries, so that settings load quickly.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Aspect = Literal["letterbox", "stretch"]
DataType = Literal["float32", "float16"]


class Parameters(BaseModel):
    """What every recipe has.

    Attributes:
        rows: of the arrays.
        columns: of the arrays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(default=512, ge=16, le=8192)
    columns: int = Field(default=512, ge=16, le=8192)


class _LocalContrast(Parameters):
    """Local equalisation: see `local_contrast.equalised`. A limit of 0 leaves it out."""

    clahe_clip_limit: float = Field(default=2.0, ge=0, le=1000)
    clahe_tiles: int = Field(default=8, ge=1, le=64)
    clahe_bins: int = Field(default=256, ge=16, le=65536)


class _Percentiles(Parameters):
    """Percentiles that become 0 and 1 where the file does not say what is black and white."""

    low_percentile: float = Field(default=0.5, ge=0, lt=50)
    high_percentile: float = Field(default=99.5, gt=50, le=100)


class CtParameters(_LocalContrast):
    """CT. `window` is the file's, with the preset of its body part as a fallback, or the preset."""

    window: Literal["file", "preset"] = "file"


class MrParameters(Parameters):
    """MR. Names and numbers are explained in `bias.py` and `denoising.py`."""

    rows: int = Field(default=256, ge=16, le=8192)
    columns: int = Field(default=256, ge=16, le=8192)
    bias: Literal["n4", "homomorphic", "none"] = "n4"
    n4_shrink: int = Field(default=4, ge=1, le=16)
    n4_iterations: int = Field(default=30, ge=1, le=500)
    n4_levels: int = Field(default=3, ge=1, le=6)
    homomorphic_width: float = Field(default=0.15, gt=0, le=1)
    denoise: Literal["wiener", "none"] = "wiener"
    low_percentile: float = Field(default=1.0, ge=0, lt=50)
    high_percentile: float = Field(default=99.0, gt=50, le=100)


class RadiographParameters(_LocalContrast, _Percentiles):
    """CR and DX."""

    rows: int = Field(default=1024, ge=16, le=8192)
    columns: int = Field(default=1024, ge=16, le=8192)


class UltrasoundParameters(_Percentiles):
    """US. `despeckle_pixels` is the side of the filter's window; 1 leaves it out."""

    rows: int = Field(default=256, ge=16, le=8192)
    columns: int = Field(default=256, ge=16, le=8192)
    low_percentile: float = Field(default=0.0, ge=0, lt=50)
    high_percentile: float = Field(default=100.0, gt=50, le=100)
    despeckle_pixels: int = Field(default=5, ge=1, le=31)
    overlays: Literal["keep", "remove"] = "keep"


class MammogramParameters(_LocalContrast, _Percentiles):
    """MG. With `chest_wall_left` all breasts point to the right."""

    rows: int = Field(default=2048, ge=16, le=8192)
    columns: int = Field(default=2048, ge=16, le=8192)
    clahe_bins: int = Field(default=1024, ge=16, le=65536)
    orientation: Literal["chest_wall_left", "as_stored"] = "chest_wall_left"


class NuclearParameters(_Percentiles):
    """PT and NM. `suv_top` becomes 1; percentiles apply where there is no SUV."""

    suv_top: float = Field(default=20.0, gt=0, le=1000)
    low_percentile: float = Field(default=0.0, ge=0, lt=50)
    high_percentile: float = Field(default=99.9, gt=50, le=100)


class GenericParameters(_Percentiles):
    """All other modalities."""


class Preprocessing(BaseModel):
    """All parameters of preprocessing; what is left out keeps its default.

    Attributes:
        aspect: whether true proportions are kept, with margins, or frames fill their arrays.
        dtype: of the stored arrays; float16 keeps 11 bits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    aspect: Aspect = "letterbox"
    dtype: DataType = "float32"
    ct: CtParameters = CtParameters()
    mr: MrParameters = MrParameters()
    radiograph: RadiographParameters = RadiographParameters()
    us: UltrasoundParameters = UltrasoundParameters()
    mg: MammogramParameters = MammogramParameters()
    nuclear: NuclearParameters = NuclearParameters()
    generic: GenericParameters = GenericParameters()
