"""The whole sample, written once for all tests that only read it, and its FHIR entries as parsed.

Belongs here: fixtures of the tests of the sample. What must hold of it is stated in those tests.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hc_assets.sample_data.write import SampleSummary, write_sample


@dataclass(frozen=True)
class Sample:
    folder: Path
    summary: SampleSummary

    def texts(self) -> Iterator[tuple[str, int, str]]:
        """File, position and JSON text of each FHIR entry, found with the standard library only."""
        for path in sorted((self.folder / "fhir").rglob("*.json")):
            name = str(path.relative_to(self.folder))
            if path.stat().st_size and path.read_bytes()[:1] == b"{":
                entries = json.loads(path.read_text(), parse_float=_Digits)["entry"]
                for position, entry in enumerate(entries):
                    yield name, position, _to_json(entry["resource"])
            else:
                yield name, 0, path.read_text()
        for path in sorted((self.folder / "fhir").rglob("*.ndjson*")):
            data = path.read_bytes()
            lines = gzip.decompress(data) if path.suffix == ".gz" else data
            name = str(path.relative_to(self.folder))
            for position, line in enumerate(lines.decode().splitlines()):
                yield name, position, line


class _Digits(float):
    """A number that is written as it was read."""

    def __new__(cls, text: str) -> "_Digits":
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __repr__(self) -> str:
        return self.text


def _to_json(value: Any) -> str:
    if isinstance(value, dict):
        members = (f"{json.dumps(name)}: {_to_json(each)}" for name, each in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_to_json, value)) + "]"
    return repr(value) if isinstance(value, _Digits) else json.dumps(value)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    return Sample(folder, write_sample(folder))
