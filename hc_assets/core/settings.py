"""Settings of what knows no domain: folders, batches, automation, compute.

Belongs here: every number or folder of those that a user may want to change, and how a setting is
read. Each domain's `settings.py` brings a section of its own; `settings.py` puts them together.
What a threshold means is documented beside the function that applies it.
"""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hc_assets.core.setting_errors import PREFIX, named_settings


class CoreSettings(BaseSettings):
    """Settings of one deployment, from the environment (prefix `HC_`). Read when built."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    def __init__(self, **values: Any) -> None:
        """Read the environment.

        Args:
            values: in place of those of the environment, by field.

        Raises:
            SettingError: one is not what it has to be.
        """
        with named_settings(type(self).model_fields):
            super().__init__(**values)

    data_dir: Path = Field(
        default=Path("data"), description="Folder of landing/, batches/, lake/, exports/."
    )

    # Landing
    batch_files: int = Field(default=10_000, ge=1, description="Files in one batch, at most.")
    batch_bytes: int = Field(default=2 * 1024**3, ge=1, description="Bytes in one batch, at most.")
    archive_files: int = Field(
        default=1_000_000, ge=1, description="Members that an archive may hold."
    )
    archive_bytes: int = Field(
        default=64 * 1024**3,
        ge=1,
        description="Bytes that an archive, or a packed file, may unpack to; 2 GiB at most for a"
        " deflated DICOM dataset.",
    )
    archive_ratio: int = Field(
        default=200,
        ge=1,
        description="How many times its own size an archive, or a packed file, may unpack to; up"
        " to 1 GiB it may.",
    )
    landing_folders: dict[str, str] = Field(
        default={},
        description="Landing folder by kind, as a JSON object: a path or an fsspec URL; in place of"
        " <data>/landing/<kind>.",
    )
    landing_settle_seconds: float = Field(
        default=10, ge=0, description="How long a file must not have changed to be landed."
    )
    landing_seconds: float = Field(
        default=4, gt=0, description="Time that one look at a landing folder may land files for."
    )

    # Automation
    automation: bool = Field(
        default=True,
        description="Whether sensors and schedules run from the start; the UI switches each.",
    )
    sensor_seconds: int = Field(
        default=30, ge=1, description="Least time between two looks at a landing folder."
    )
    sensor_batches: int = Field(
        default=8, ge=1, description="Runs that one look may start; the next starts the others."
    )
    quiet_cron: str = Field(
        default="*/2 * * * *",
        description="What is made of all batches is made when a tick of this passes without a new"
        " batch.",
    )
    latest_cron: str = Field(
        default="0 * * * *",
        description="When it is made at the latest, should batches never cease to come.",
    )
    report_cron: str = Field(default="0 6 * * *", description="When the check report is written.")
    freshness_cron: str = Field(
        default="30 * * * *", description="When batches are looked for that are left behind."
    )
    freshness_hours: float = Field(
        default=6, gt=0, description="Within which a batch must be finished and taken in."
    )
    alert_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        repr=False,
        description="Recipients of alerts on failed runs: Apprise URLs (mailtos://, slack:// etc.),"
        " separated by spaces.",
    )
    error_texts: bool = Field(
        default=False,
        description="Whether errors of libraries keep their text in Dagster's record. It helps to"
        " find a fault, and may quote what patients' files hold.",
    )
    ui_url: str = Field(
        default="http://127.0.0.1:3000", description="Dagster's UI, for links in reports."
    )
    report_url: str = Field(
        default="",
        description="URL under which <data>/reports is served, for links from Dagster's UI to the"
        " check report; where empty, the UI shows its path.",
    )

    # Compute
    workers: int = Field(
        default=0, ge=0, description="Worker processes; 0 means one per available core."
    )
    chunk_bytes: int = Field(
        default=16 * 1024**2, ge=1, description="Bytes of input that one unit of work takes."
    )
    row_seconds: float = Field(
        default=600,  # `fence.ROW_SECONDS`, whose imports would slow down each command
        ge=0,
        description="Time that one row, file, series or study may take in a stage; 0 for no bound."
        " What takes longer is set aside with the reason.",
    )

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _split_urls(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("alert_urls")
    @classmethod
    def _refuse_no_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.match(r"[a-z][a-z0-9+.-]*://.", url, re.IGNORECASE) for url in value):
            raise ValueError("expected Apprise URLs, with spaces between them")
        return value
