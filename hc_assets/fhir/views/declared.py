"""Which views there are: those that come with the package, and those of the user's folder.

Belongs here: names and files. It is imported by whatever starts, so nothing is read of a view but
what its rows are said to be; columns are in `schemas.py`.
"""

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from hc_assets.core.domain import Domain, Table
from hc_assets.core.errors import UsageError

PREFIX = "fhir/views/"
SHIPPED = Path(__file__).parent / "shipped"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class ViewFolderError(UsageError):
    """A folder of views, or the name of a file in it, can't be used."""


class _Folders(BaseSettings):
    """Where views of the user may be; the settings themselves are in `fhir/settings.py`."""

    model_config = SettingsConfigDict(env_prefix="HC_", extra="ignore", frozen=True)

    data_dir: Path = Path("data")
    views: Path | None = None
    shipped_views: bool = True

    def folder(self) -> Path:
        return self.views if self.views is not None else self.data_dir / "views"


@cache
def view_files() -> dict[str, Path]:
    """File of each view by the name of its table: the file's without `.json`.

    One of the user's replaces the one of that name that comes with the package. They are looked up
    once in the life of a process, since the assets follow from them.
    """
    folders = _Folders()
    folder = folders.folder()
    shipped = sorted(SHIPPED.glob("*.json")) if folders.shipped_views else []
    own = sorted(folder.glob("*.json")) if folder.is_dir() else []
    files = [*shipped, *own]
    return {file.stem: file for file in files if _NAME.fullmatch(file.stem)}


def refuse_unusable() -> None:
    """Refuse a folder that is not there, and files whose names no table can have.

    Raises:
        ViewFolderError: says which.
    """
    folders = _Folders()
    folder = folders.folder()
    if folders.views is not None and not folder.is_dir():
        raise ViewFolderError(f"HC_VIEWS: {folder} is no folder")
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        if not _NAME.fullmatch(file.stem):
            raise ViewFolderError(
                f"{file}: expected a name of letters, digits and underscores, as the table's is"
            )
    lowered = sorted(view_files(), key=str.lower)
    for one, other in pairwise(lowered):
        if one.lower() == other.lower():
            raise ViewFolderError(f"{folder}: {one} and {other} are one name in the warehouse")


def view_tables() -> tuple[Table, ...]:
    """The table of each view that there is."""
    return tuple(
        Table(
            f"{PREFIX}{name}",
            "hc_assets.fhir.views.schemas:TABLES",
            row=_row(file),
            layer="out",
            per="all",
            kinds=frozenset({"fhir", "parquet"}),
        )
        for name, file in view_files().items()
    )


def view_names(domain: Domain) -> list[str]:
    """Names of the views that a domain declares tables of."""
    names = (table.name for table in domain.tables)
    return [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]


def _row(file: Path) -> str:
    """What a row is, as the view says."""
    try:
        document = json.loads(file.read_bytes())
    except ValueError:
        document = None  # what is wrong with it is said where it is read
    said = document.get("description") if isinstance(document, dict) else None
    return said if isinstance(said, str) else f"Rows of the view {file.stem}."
