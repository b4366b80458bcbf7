import subprocess
import sys
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.imaging.verdicts.shared_identifiers import count_conflicts


def write(folder, number, *rows):
    path = folder / f"{number}.parquet"
    columns = {
        "sop_instance_uid": pa.array([uid for uid, _ in rows], pa.string()),
        "file_sha256": pa.array([sha256 for _, sha256 in rows], pa.string()),
    }
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_an_identifier_with_one_content_is_no_conflict(tmp_path):
    own = write(tmp_path, 0, ("1", "x"), ("1", "x"), (None, "y"), (None, "z"))
    assert count_conflicts([own], [own]) == (0, 1)


def test_conflicts_within_a_batch_and_with_another_are_counted_once_each(tmp_path):
    own = write(tmp_path, 0, ("1", "x"), ("1", "y"), ("2", "x"), ("3", "x"))
    other = write(tmp_path, 1, ("1", "z"), ("2", "w"), ("3", "x"), ("4", "a"), ("4", "b"))
    assert count_conflicts([own], [own, other]) == (2, 3)
    assert count_conflicts([other], [own, other]) == (3, 4)


def test_where_there_are_no_files_there_is_no_conflict(tmp_path):
    assert count_conflicts([], [write(tmp_path, 0, ("1", "x"))]) == (0, 0)


ROWS = st.lists(st.tuples(st.sampled_from(["1", "2", "3", None]), st.sampled_from("xyz")))


@settings(max_examples=40, deadline=None)
@given(own=ROWS, other=ROWS)
def test_conflicts_are_those_that_a_plain_count_finds(tmp_path_factory, own, other):
    folder = tmp_path_factory.mktemp("parts")
    paths = [write(folder, 0, *own), write(folder, 1, *other)]
    contents = defaultdict(set)
    for uid, sha256 in own + other:
        contents[uid].add(sha256)
    asked = {uid for uid, _ in own if uid is not None}
    conflicting = sum(len(contents[uid]) > 1 for uid in asked)
    assert count_conflicts(paths[:1], paths) == (conflicting, len(asked))


MEASURED = """
import resource, sys
from hc_assets.imaging.verdicts.shared_identifiers import count_conflicts
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count_conflicts(sys.argv[1:2], sys.argv[1:2])
before = peak()
print(*count_conflicts(sys.argv[1:2], sys.argv[1:]), peak() - before)
"""


def test_memory_does_not_follow_the_files_of_other_batches(tmp_path):
    # 400,000 files of others: their identifiers and hashes take up 50 MB
    random = np.random.default_rng(5)
    paths = []
    for number in range(8):
        words = random.integers(0, 2**63, (50_000, 2))
        rows = [(f"1.2.840.{a}.{b}.{number}", f"{a:032x}{b:032x}") for a, b in words.tolist()]
        paths.append(write(tmp_path, number, *(rows[:1000] if number == 0 else rows)))
    command = [sys.executable, "-c", MEASURED, *paths]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    conflicting, asked, kilobytes = map(int, found.stdout.split())
    assert (conflicting, asked) == (0, 1000)
    assert kilobytes < 40_000
