import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch, the extra hc-assets[torch], is not installed")

from torch.utils.data import DataLoader  # noqa: E402

from hc_assets.imaging.training.dataset import DamagedSetError, TrainingSet  # noqa: E402
from hc_assets.imaging.training.torch_dataset import TrainingMap, TrainingStream  # noqa: E402

COUNT = 23


@pytest.fixture
def scans(scan):
    return [scan(f"P{n}", n) for n in range(COUNT)]


@pytest.fixture
def folder(written, scans, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["patient_id,label", *(f"P{n},c{n % 3}" for n in range(COUNT))]))
    return written(*scans, labels_file=path)


@pytest.fixture
def samples(folder):
    return TrainingSet(folder).split("train", "ct")


def hold_together(batches, scans):
    """Each sample's pixels and class are its own; give the order."""
    order = []
    for batch in batches:
        assert batch["pixels"].dtype == torch.float32
        rows = zip(batch["index"], batch["pixels"], batch["target"], strict=True)
        for index, pixels, target in rows:
            assert pixels.shape == (1, 8, 6)
            np.testing.assert_array_equal(pixels[0].numpy(), scans[index].pixels())
            assert target == index % 3
            order.append(int(index))
    return order


@pytest.mark.parametrize("workers", [0, 2])
def test_map_style_gives_every_sample_once_in_batches_or_alone(samples, scans, workers):
    dataset = TrainingMap(samples, target="class")
    loaders = [
        dataset.loader(5, num_workers=workers),
        DataLoader(dataset, batch_size=5, num_workers=workers),
    ]
    for loader in loaders:
        assert hold_together(loader, scans) == list(range(COUNT))
    one = dataset[4]
    assert (one["pixels"].shape, int(one["target"])) == ((1, 8, 6), 1)


def test_map_style_is_shuffled_by_a_seed(samples, scans):
    dataset = TrainingMap(samples, target="class")

    def order(seed):
        generator = torch.Generator().manual_seed(seed)
        return hold_together(dataset.loader(5, shuffle=True, generator=generator), scans)

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == list(range(COUNT))
    assert len(dataset.loader(5, drop_last=True)) == COUNT // 5


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_gives_every_sample_once_whatever_the_workers(samples, scans, workers):
    for seed in (None, 1):
        stream = TrainingStream(samples, target="class", seed=seed)
        order = hold_together(DataLoader(stream, batch_size=4, num_workers=workers), scans)
        assert sorted(order) == list(range(COUNT))
        assert (sorted(order) == order) == (seed is None and workers == 0)


def test_ranks_share_an_epoch_and_epochs_differ(samples, scans):
    ranks = [TrainingStream(samples, seed=1, rank=rank, ranks=2) for rank in range(2)]
    orders = [[int(one["index"]) for one in stream] for stream in ranks]
    assert sorted(orders[0] + orders[1]) == list(range(COUNT))
    again = [int(one["index"]) for one in ranks[0]]
    ranks[0].set_epoch(1)
    assert orders[0] == again != [int(one["index"]) for one in ranks[0]]


def test_workers_that_stay_see_the_next_epoch(samples):
    stream = TrainingStream(samples, seed=1)
    loader = DataLoader(stream, batch_size=None, num_workers=1, persistent_workers=True)
    first = [int(one["index"]) for one in loader]
    stream.set_epoch(1)
    assert sorted(first) == sorted(second := [int(one["index"]) for one in loader])
    assert first != second


def test_a_transform_is_applied_and_pixels_may_be_changed(samples, scans):
    dataset = TrainingMap(samples, transform=lambda pixels: pixels.mul_(2))
    assert "target" not in dataset[0]
    for got in (dataset[3]["pixels"][0], dataset[[1, 3]]["pixels"][1, 0]):
        np.testing.assert_array_equal(got.numpy(), scans[3].pixels() * 2)
    np.testing.assert_array_equal(samples.pixels(3), scans[3].pixels())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_row_stops_the_loader_and_is_named(folder, samples, scans, workers):
    path = folder / samples.shards[1].arrow.file
    data = path.read_bytes()
    start = scans[7].pixels().tobytes()[:40]
    path.write_bytes(data.replace(start, bytes(40)))
    for dataset in (TrainingMap(samples), TrainingStream(samples)):
        with pytest.raises(DamagedSetError, match=r"row 3: expected pixels of XXH3"):
            list(DataLoader(dataset, batch_size=2, num_workers=workers))
