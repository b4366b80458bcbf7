"""The client of HL7's engine: what it asks, how it reads answers, and how it ends.

Belongs here: the client beside a process that answers as the engine would, and a few resources
before the engine itself, where Java and Maven are at hand. The comparison of many is `make judge`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Answers as the driver does: a resource that says "bad" has an error, "end" ends the process.
_FAKE = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    text = request["resource"]
    if "end" in text:
        sys.exit(3)
    issue = {"severity": "error", "location": "Patient.a", "message_id": "M", "message": text}
    issues = [issue] if "bad" in text else [dict(issue, severity="warning")]
    print(json.dumps({"id": request["id"], "nanos": 2_000_000, "issues": issues}), flush=True)
"""


@pytest.fixture(scope="module")
def client() -> Iterator[ModuleType]:
    """The benchmarks are no part of the package, so they are looked for from the root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from benchmarks.oracles.hl7 import client as module

        yield module


def test_a_verdict_has_the_findings_of_its_own_resource(client: ModuleType) -> None:
    with client.Judge([sys.executable, "-c", _FAKE]) as judge:
        good, bad = judge.judge_all([b'{"a": "good\xc3\xa4\\n"}', b"bad"])
    assert good.errors == ()
    assert [each.severity for each in good.findings] == ["warning"]
    assert good.findings[0].message == '{"a": "goodä\\n"}'
    assert [each.message_id for each in bad.errors] == ["M"]
    assert bad.seconds == 0.002


def test_one_resource_at_a_time_is_taken_from_what_is_judged(client: ModuleType) -> None:
    taken = 0

    def resources() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"good"

    with client.Judge([sys.executable, "-c", _FAKE]) as judge:
        verdicts = judge.judge_all(resources())
        for number in range(1, 4):
            next(verdicts)
            assert taken == number


def test_bytes_that_are_no_text_reach_the_engine_replaced(client: ModuleType) -> None:
    with client.Judge([sys.executable, "-c", _FAKE]) as judge:
        assert judge.judge(b"bad\xff").errors[0].message == "bad\ufffd"


def test_an_engine_that_ends_is_named_as_missing(client: ModuleType) -> None:
    judge = client.Judge([sys.executable, "-c", _FAKE])
    with pytest.raises(client.JudgeMissingError, match="exit code 3"):
        judge.judge(b"end")
    judge.close()
    with pytest.raises(client.JudgeMissingError, match="exit code 5"):
        client.Judge([sys.executable, "-c", "import sys; sys.exit(5)"])


def test_a_build_is_found_again_without_maven(
    client: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    maven = programs / "mvn"
    maven.write_text(
        '#!/bin/sh\nfor a; do case "$a" in -Djudge.target=*) mkdir "${a#*=}";; esac; done\n'
    )
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    built = client.build(tmp_path / "cache")
    assert built.is_dir()
    maven.unlink()
    assert client.build(tmp_path / "cache") == built


def test_what_is_missing_to_build_is_named(
    client: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(client.JudgeMissingError, match="no Maven"):
        client.build(tmp_path / "cache")
    with pytest.raises(client.JudgeMissingError, match="no Java"):
        client.java_command(tmp_path)


@pytest.mark.exhaustive
@pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("mvn")), reason="Java or Maven is not at hand"
)
@pytest.mark.skipif("HC_R4_PACKAGE" not in os.environ, reason="HC_R4_PACKAGE is not set")
def test_both_judges_agree_on_nearly_all_of_a_small_draw(
    client: ModuleType, tmp_path: Path
) -> None:
    try:
        client.build()
    except client.JudgeMissingError as missing:
        pytest.skip(str(missing))
    kept = tmp_path / "verdicts.ndjson"
    command = [sys.executable, "-m", "benchmarks.oracles.hl7.compare", "judge"]
    subprocess.run([*command, "--count", "60", "--out", str(kept)], cwd=ROOT, check=True)
    from benchmarks.oracles.hl7.compare import lines_of

    lines = list(lines_of(kept))
    assert len(lines) == 60 == len(kept.read_text("utf-8").splitlines())
    assert sum(line.agrees for line in lines) >= 56
    assert {line.kind for line in lines} > {"unchanged"}
    assert all(json.loads(text)["seconds"] > 0 for text in kept.read_text("utf-8").splitlines())
