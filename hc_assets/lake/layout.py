"""Where each kind of thing lies: one function per kind.

Belongs here: names of folders and files under the data folder. Reading and writing them does not.
"""

from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from hc_assets.core.settings import CoreSettings
from hc_assets.lake.atomic import local_path

COMMIT_NAME = "_commit.json"
MANIFEST_NAME = "manifest.json"
SCHEMA_FOLDER = "_schema"
ALL_BATCHES_FOLDER = "all"
BATCH_PREFIX = "batch="
LEFT_OUT_FOLDER, RESTORED_FOLDER = ".left_out", ".restored"


def name_in_warehouse(table: str) -> tuple[str, str]:
    """Schema and name of a table in the warehouse.

    >>> name_in_warehouse("imaging/series"), name_in_warehouse("fhir/views/patient")
    (('imaging', 'series'), ('fhir_views', 'patient'))
    """
    group, _, name = table.rpartition("/")
    return group.replace("/", "_"), name


@dataclass(frozen=True)
class Layout:
    """Paths under one data folder, and the landing folders that are elsewhere.

    Attributes:
        data_dir: absolute where it is local.
        landing_folders: kind and folder of each that is not below the data folder.
    """

    data_dir: UPath
    landing_folders: tuple[tuple[str, str], ...] = ()

    @classmethod
    def configured(cls, settings: CoreSettings) -> "Layout":
        """Lay out what a deployment's settings name."""
        layout = cls.of(settings.data_dir)
        return cls(layout.data_dir, tuple(sorted(settings.landing_folders.items())))

    @classmethod
    def of(cls, data_dir: Path | str) -> "Layout":
        """Lay out the data folder at a local path or an fsspec URL.

        A local path becomes absolute, since views in the warehouse and worker processes keep it.
        """
        path = UPath(data_dir)
        return cls(path.absolute() if path.protocol in ("", "file") else path)

    def landing(self, kind: str) -> UPath:
        """Folder into which files of a kind are put, by users and by assets alike."""
        named = dict(self.landing_folders).get(kind)
        return UPath(named) if named else self.data_dir / "landing" / kind

    def kinds(self) -> list[str]:
        """Kinds of which batches were ever made here, declared still or not, by name."""
        folder = self.data_dir / "batches"
        return sorted(each.name for each in folder.iterdir()) if folder.exists() else []

    def batches(self, kind: str) -> UPath:
        """Folder of the batches of a kind."""
        return self.data_dir / "batches" / kind

    def batch(self, kind: str, key: str) -> UPath:
        """Folder of one batch."""
        return self.batches(kind) / key

    def manifest(self, kind: str, key: str) -> UPath:
        """Manifest of one batch; the batch exists when it does."""
        return self.batch(kind, key) / MANIFEST_NAME

    def left_out(self, kind: str) -> UPath:
        """Folder of the records of those that are left out of all batches: `<key>.json` each."""
        return self.batches(kind) / LEFT_OUT_FOLDER

    def restored(self, kind: str) -> UPath:
        """Folder of the records of retractions that were undone."""
        return self.batches(kind) / RESTORED_FOLDER

    def watched_files(self, kind: str) -> Path:
        """What was seen of the landing folder; can be deleted, then every file is hashed again."""
        return local_path(self.batches(kind)) / ".watched.sqlite3"

    def landed_file(self, kind: str, key: str, stored: str) -> UPath:
        """Bytes of one landed file."""
        return self.batch(kind, key) / "files" / stored

    def table(self, table: str) -> UPath:
        """Folder of a table named `<group>/<asset>`."""
        return self.data_dir / "lake" / table

    def partition(self, table: str, batch: str | None) -> UPath:
        """Folder of a table's rows of one batch; of all of them where `batch` is None."""
        folder = ALL_BATCHES_FOLDER if batch is None else f"{BATCH_PREFIX}{batch}"
        return self.table(table) / folder

    def exports(self, name: str) -> UPath:
        """Folder of an export."""
        return self.data_dir / "exports" / name

    def reports(self) -> UPath:
        """Folder of reports that are written by themselves."""
        return self.data_dir / "reports"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file; local always, since DuckDB locks it."""
        return local_path(self.data_dir) / "warehouse.duckdb"

    @property
    def dagster_home(self) -> Path:
        """Where the command line keeps Dagster's instance when DAGSTER_HOME is not set."""
        return local_path(self.data_dir) / "dagster"
