"""Which files were landed before.

Belongs here: when a file counts as the same as another. Landing it is in `landing.py`.
"""

from hc_assets.lake.manifests import LandedFile, Manifest


class KnownFiles:
    """The files that batches of a kind and source hold already.

    A file is the same by its content. One without any is the same by its name and what is wrong
    with it, so that each empty or unreadable file is reported, and once.
    """

    def __init__(self) -> None:
        self._batches: dict[tuple[str, ...], str] = {}
        self._sizes: set[int] = set()

    def add_batch(self, manifest: Manifest) -> None:
        """Remember the files of a batch."""
        for file in manifest.files:
            self.add(file, manifest.key)

    def add(self, file: LandedFile, batch: str) -> None:
        """Remember a file; `batch` is "" where its key is not known yet."""
        self._batches[self._identity(file)] = batch
        self._sizes.add(file.size)

    def batch_of(self, file: LandedFile) -> set[str]:
        """Key of the earlier batch that holds a file; none where this landing does."""
        return {self._batches[self._identity(file)]} - {""}

    def __contains__(self, file: LandedFile) -> bool:
        return self._identity(file) in self._batches

    def has_size(self, size: int) -> bool:
        """Whether a file of so many bytes is known."""
        return size in self._sizes

    @staticmethod
    def _identity(file: LandedFile) -> tuple[str, ...]:
        if file.problem or not file.size:
            return (file.source_file, file.problem)
        return (file.sha256,)
