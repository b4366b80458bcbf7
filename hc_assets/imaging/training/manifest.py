"""The manifest of an exported training set: what is in it, chosen how, with the hash of each file.

Belongs here: its shape, and reading it. It is written last, so a set is what its manifest says;
files that it does not list do not belong to it.
"""

import msgspec
from upath import UPath

from hc_assets.lake.atomic import HashingSink

MANIFEST_NAME = "manifest.json"
FORMAT = "hc_assets training set"
FORMAT_VERSION = 1


class ManifestError(Exception):
    """A folder holds no training set, or one that can't be read."""


class ShardFile(msgspec.Struct, frozen=True):
    """One file of a shard: name in the export folder, bytes, SHA-256 in hex."""

    file: str
    bytes: int
    sha256: str


class Shard(msgspec.Struct, frozen=True):
    """Samples of one batch, split and kind of array; twice, with the same rows.

    Attributes:
        name: of both files, without the suffix.
        split: that the samples are in.
        pipeline: name and version.
        parameters: of the pipeline, as JSON.
        shape: rows and columns of every array.
        dtype: NumPy's name of their type.
        batch: key of the batch that the samples are from.
        samples: how many there are.
        parquet: packed, for whatever reads Parquet.
        arrow: Arrow IPC, to be mapped into memory.
    """

    name: str
    split: str
    pipeline: str
    parameters: str
    shape: tuple[int, ...]
    dtype: str
    batch: str
    samples: int
    parquet: ShardFile
    arrow: ShardFile


class SplitCounts(msgspec.Struct, frozen=True):
    """What one split holds: samples, patients, and samples by label ("" for none)."""

    samples: int
    patients: int
    labels: dict[str, int]


class Manifest(msgspec.Struct, frozen=True):
    """What a training set says about itself; no patient is named in it.

    Attributes:
        format: always `hc_assets training set`.
        format_version: counted up when readers of an earlier one would go wrong.
        content_sha256: of the hashes of all shards, in their order.
        selection: what was asked for, by name.
        classes: the labels that occur, in alphabetical order; their places are the class numbers.
        is_labelled: whether labels were asked for.
        splits: counts by split, those without samples too.
        left_out: how many arrays were left out, by reason.
        linked_patients: patients that share pixels or a study with another, and so its split.
        batches: hash of what was planned for each batch; where it is the same, its shards stay.
        shards: in the order of batch, split and kind.
    """

    format: str
    format_version: int
    content_sha256: str
    selection: dict[str, object]
    classes: list[str]
    is_labelled: bool
    splits: dict[str, SplitCounts]
    left_out: dict[str, int]
    linked_patients: int
    batches: dict[str, str]
    shards: list[Shard]


def content_hash(shards: list[Shard]) -> str:
    """Hash of a set's content: that of its shards' hashes, in their order."""
    sink = HashingSink.discarding()
    for shard in shards:
        sink.write(f"{shard.name} {shard.parquet.sha256} {shard.arrow.sha256}\n".encode())
    return sink.hexdigest()


def read_manifest(folder: UPath) -> Manifest:
    """Read the manifest of an export folder.

    Raises:
        ManifestError: there is none, or it is not one that this version can read.
    """
    path = folder / MANIFEST_NAME
    try:
        made = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise ManifestError(
            f"{folder}: expected a training set, found no {MANIFEST_NAME}"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: expected the manifest of a training set: {error}") from error
    if (made.format, made.format_version) != (FORMAT, FORMAT_VERSION):
        raise ManifestError(
            f"{path}: expected {FORMAT!r} {FORMAT_VERSION},"
            f" found {made.format!r} {made.format_version}"
        )
    if content_hash(made.shards) != made.content_sha256:
        raise ManifestError(f"{path} is damaged: it does not list what was exported")
    return made


def encode(manifest: Manifest) -> bytes:
    """Write a manifest as JSON, the same bytes for the same content."""
    encoded: bytes = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    return encoded
