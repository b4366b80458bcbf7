"""The section of the settings that notes bring."""

from pydantic import Field

from hc_assets.core.settings import CoreSettings


class ExampleSettings(CoreSettings):
    """What notes take from the environment."""

    example_lines: int = Field(default=1, ge=0, description="Lines that a batch must have.")
