"""An exported training set for PyTorch: by number, or as a stream, in one process or several.

Belongs here: tensors, shuffling, workers. Needs the extra `hc-assets[torch]`; reading itself is in
`dataset.py`, and whatever is wrong with a sample raises from there.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    get_worker_info,
)

from hc_assets.imaging.training.dataset import Samples, Target

Transform = Callable[[torch.Tensor], torch.Tensor]


class _Tensors:
    """Samples as dictionaries of tensors."""

    def __init__(
        self, samples: Samples, target: Target | None, transform: Transform | None
    ) -> None:
        self._samples, self._transform = samples, transform
        # Once for all samples, so that workers share it instead of reading labels each time
        self._targets = None if target is None else torch.from_numpy(samples.targets(target))

    def one(self, index: int) -> dict[str, torch.Tensor]:
        """One sample: `pixels` 1 by rows by columns, `target`, `index`."""
        pixels = torch.from_numpy(np.array(self._samples.pixels(index))[None])
        return self._with_target(self._transformed(pixels), index)

    def several(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """Several samples at once, copied once: samples by 1 by rows by columns."""
        pixels = torch.from_numpy(self._samples.read(indices)[:, None])
        return self._with_target(self._transformed(pixels), torch.as_tensor(indices))

    def _transformed(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels if self._transform is None else self._transform(pixels)

    def _with_target(
        self, pixels: torch.Tensor, index: int | torch.Tensor
    ) -> dict[str, torch.Tensor]:
        found = {"pixels": pixels, "index": torch.as_tensor(index)}
        if self._targets is not None:
            found["target"] = self._targets[index]
        return found


class TrainingMap(Dataset[dict[str, torch.Tensor]]):
    """Samples by number: one for a number, a whole batch for a list of numbers.

    `loader` makes a DataLoader that asks for whole batches, which copies pixels once.
    """

    def __init__(
        self,
        samples: Samples,
        target: Target | None = None,
        transform: Transform | None = None,
    ) -> None:
        """Take the samples of a split.

        Args:
            samples: `TrainingSet(folder).split("train", "ct")`.
            target: what `target` holds, see `Samples.targets`; left out where None.
            transform: applied to pixels, 1 by rows by columns, or batches of those.

        Raises:
            ValueError: labels are not as `target` needs them.
        """
        self.samples = samples
        self._tensors = _Tensors(samples, target, transform)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int | Sequence[int]) -> dict[str, torch.Tensor]:
        if isinstance(index, int):
            return self._tensors.one(index)
        return self._tensors.several(index)

    def loader(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        drop_last: bool = False,
        **options: Any,
    ) -> DataLoader[dict[str, torch.Tensor]]:
        """Make a DataLoader over whole batches.

        Args:
            batch_size: samples in a batch.
            shuffle: whether to draw them in random order, each once.
            generator: of that order; seeded, the order is the same each time.
            drop_last: whether to leave out a last batch that is smaller.
            options: for the DataLoader: `num_workers`, `pin_memory` and the like.
        """
        order = RandomSampler(self, generator=generator) if shuffle else SequentialSampler(self)
        batches = BatchSampler(order, batch_size, drop_last)
        return DataLoader(self, sampler=batches, batch_size=None, **options)


class TrainingStream(IterableDataset[dict[str, torch.Tensor]]):
    """Samples one after the other, each once in an epoch, shared out among workers and ranks.

    Shuffled, runs of samples that lie together are drawn in random order, and `mix` of them at a
    time are shuffled into one another: the disk is read in large pieces, whatever the order.
    """

    def __init__(
        self,
        samples: Samples,
        target: Target | None = None,
        transform: Transform | None = None,
        *,
        seed: int | None = None,
        mix: int = 16,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Take the samples of a split.

        Args:
            samples: `TrainingSet(folder).split("train", "ct")`.
            target: as for `TrainingMap`.
            transform: as for `TrainingMap`.
            seed: of the order; None keeps that of the shards.
            mix: runs of some 8 MB that are shuffled into one another.
            rank: of this process among `ranks` that share an epoch.
            ranks: processes that share an epoch.
        """
        super().__init__()
        self._samples, self._seed, self._mix = samples, seed, mix
        self._rank, self._ranks = rank, ranks
        self._tensors = _Tensors(samples, target, transform)
        # Shared, so that workers which outlive an epoch see the next one's number
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Set which epoch comes next: each has an order of its own."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker else (1, 0)
        for index in self._order()[self._rank * workers + number :: self._ranks * workers]:
            yield self._tensors.one(int(index))

    def _order(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        blocks = self._samples.blocks()
        if self._seed is None or not blocks:
            return np.arange(len(self._samples))
        random = np.random.default_rng([self._seed, int(self._epoch)])
        drawn = [blocks[at] for at in random.permutation(len(blocks))]
        mixed = [
            random.permutation(np.concatenate(drawn[at : at + self._mix]))
            for at in range(0, len(drawn), self._mix)
        ]
        return np.concatenate(mixed)
