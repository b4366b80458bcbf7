"""HL7's validation engine as a judge: a Java process that answers resource by resource.

Belongs here: building the driver once, starting it, and talking to it. What is judged belongs to
`corpus.py`, what follows from the verdicts to `compare.py`.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent
_SOURCES = (FOLDER / "pom.xml", *sorted((FOLDER / "src" / "main" / "java").rglob("*.java")))


class JudgeMissingError(Exception):
    """The engine can't be built or started here; the text says what is missing."""


class Finding(NamedTuple):
    """What the engine says about one place.

    Attributes:
        severity: fatal, error, warning or information.
        location: FHIRPath of the element, in the engine's spelling.
        message_id: the engine's id of the message; "" where it has none.
        message: the text.
    """

    severity: str
    location: str
    message_id: str
    message: str


class Verdict(NamedTuple):
    """What the engine says about a resource.

    Attributes:
        findings: in the engine's order.
        seconds: processor time of the engine's thread, without the way to it and back.
    """

    findings: tuple[Finding, ...]
    seconds: float

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make the resource invalid."""
        return tuple(each for each in self.findings if each.severity in ("fatal", "error"))


def default_cache() -> Path:
    """Where the built driver and its jars are kept (145 MB)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hc_assets" / "hl7-judge"


def build(cache: Path | None = None) -> Path:
    """Build the driver; where that has been done, look it up, which needs no network.

    Args:
        cache: where builds are kept, each under the digest of its sources.

    Returns:
        The folder with `classes` and `jars`.

    Raises:
        JudgeMissingError: no Maven, or it could not get the jars.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()[:16]
    folder = (cache or default_cache()) / digest
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise JudgeMissingError("no Maven (mvn) to build the driver with")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        target = Path(made) / "target"
        command = [maven, "-q", "-B", "-f", str(_SOURCES[0]), f"-Djudge.target={target}", "package"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
            raise JudgeMissingError(f"Maven failed: {lines[0] if lines else done.stderr[-500:]}")
        try:
            target.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise
    return folder


def java_command(folder: Path, memory: str = "2g") -> list[str]:
    """The command that starts the driver.

    Args:
        folder: what `build` returns.
        memory: the most that the engine's heap may take, as Java writes it.

    Raises:
        JudgeMissingError: no Java.
    """
    java = shutil.which("java")
    if java is None:
        raise JudgeMissingError("no Java (java, 17 or newer) to run the engine with")
    path = os.pathsep.join([str(folder / "classes"), str(folder / "jars" / "*")])
    return [java, f"-Xmx{memory}", "-XX:ActiveProcessorCount=1", "-cp", path, "judge.Judge"]


class Judge:
    """A running engine. It judges one resource at a time, so memory stays that of one resource."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start the engine and wait until it has loaded the definitions (10 to 20 s).

        Args:
            command: what starts the driver; see `java_command`.

        Raises:
            JudgeMissingError: it ended before it was ready.
        """
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        try:
            if not self._read().get("ready"):
                raise JudgeMissingError("the engine did not say that it is ready")
        except BaseException:
            self.close()
            raise

    def _read(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise JudgeMissingError(f"the engine ended, exit code {self._process.wait()}")
        answer: dict[str, object] = json.loads(line)
        return answer

    def judge(self, resource: bytes) -> Verdict:
        """Judge one resource.

        Args:
            resource: any bytes; what is no UTF-8 reaches the engine as U+FFFD.

        Raises:
            JudgeMissingError: the engine has ended.
        """
        assert self._process.stdin is not None
        request = {"id": 0, "resource": resource.decode("utf-8", "replace")}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        issues, nanos = answer["issues"], answer["nanos"]
        assert isinstance(issues, list)
        assert isinstance(nanos, int)
        names = Finding._fields
        findings = tuple(Finding(*(one[name] for name in names)) for one in issues)
        return Verdict(findings, nanos / 1e9)

    def judge_all(self, resources: Iterable[bytes]) -> Iterator[Verdict]:
        """Judge resources in order, taking the next one when the last one is judged."""
        for resource in resources:
            yield self.judge(resource)

    def close(self) -> None:
        """End the engine."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> "Judge":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def start(cache: Path | None = None, memory: str = "2g") -> Judge:
    """Build where that is needed, and start the engine.

    Raises:
        JudgeMissingError: no Java, no Maven, or no repository to fetch the jars from.
    """
    return Judge(java_command(build(cache), memory))
