"""A headless Chromium, and Dagster's UI over a small demo of its own, on loopback.

With HC_DOCS_IMAGES set to a folder, what the tests see is kept there: `make docs-screenshots`.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hc_assets.cli.main import app
from hc_assets.sample_data.write import PATIENTS, write_sample

IMAGES = os.environ.get("HC_DOCS_IMAGES")
_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
)
_START_SECONDS = 180


@pytest.fixture(scope="session")
def chromium_program() -> str:
    """Path of a Chromium; tests are skipped where there is none, or nothing to drive it."""
    reason = "Playwright for Python is not installed (pip install 'hc-assets[dev]')"
    pytest.importorskip("playwright.sync_api", reason=reason)
    found = next(filter(None, map(shutil.which, _CHROMIUMS)), None)
    if found is None:
        lacking = "no Chromium is installed (Debian: chromium)"
        pytest.fail(lacking) if IMAGES else pytest.skip(lacking)
    return found


@pytest.fixture(scope="module")
def chromium(
    chromium_program: str,
    demo: "Demo",  # first: Dagster in this process and Playwright's event loop don't mix
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """A browser with a profile of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        context = running.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=chromium_program,
            headless=True,
            args=_OPTIONS,
            color_scheme="light",
            timezone_id="UTC",
        )
        context.set_default_timeout(60_000)  # other processes may hold the cores
        yield context
        context.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a page of some size, closed after the test."""
    pages = []

    def opened(url: str, *, width: int = 1440, height: int = 900) -> Any:
        page = chromium.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.goto(url)
        return page

    yield opened
    for page in pages:
        page.close()


@pytest.fixture
def keep() -> Callable[..., None]:
    """Keep a picture for the docs, where pictures are wanted."""

    def kept(page: Any, name: str, **options: Any) -> None:
        if IMAGES:
            page.mouse.move(0, 0)
            page.wait_for_timeout(4000)  # what is fetched or fades in has come
            page.screenshot(path=Path(IMAGES) / f"{name}.png", **options)

    return kept


@dataclass(frozen=True)
class Demo:
    """A data folder with finished batches, in which checks failed, and one that is only landed.

    Attributes:
        environment: variables that the project reads.
        report: the check report as a page.
        waiting: key of the FHIR batch that is only landed.
    """

    environment: dict[str, str]
    report: Path
    waiting: str


@pytest.fixture(scope="session")
def demo(
    tmp_path_factory: pytest.TempPathFactory,
    chromium_program: str,  # without one nobody looks
) -> Demo:
    """Ingest a small sample, or all of it for the docs."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {
        "HC_DATA_DIR": str(folder / "data"),
        "DAGSTER_HOME": str(folder / "data" / "dagster"),
        "HC_AUTOMATION": "false",
        "HC_VALIDATION_RATE_THRESHOLD": "1",  # the sample has invalid resources
    }
    (folder / "data" / "dagster").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**environment, "DAGSTER_HOME": ""}.items():
            patch.setenv(name, value)

        def run(*arguments: object, expected: int = 0) -> str:
            done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
            assert done.exit_code == expected, done.output
            return done.stdout.strip()

        write_sample(folder, patients=PATIENTS if IMAGES else 2)
        write_sample(folder / "later", seed=2, patients=1)
        dicom = folder / "dicom"
        run("ingest", folder / "fhir", "--kind", "fhir")
        run("ingest", dicom if IMAGES else dicom / "study-01", "--kind", "dicom")
        report = folder / "checks.html"
        run("report", "--format", "html", "--out", report, expected=1)
        waiting = run("land", folder / "later" / "fhir", "--kind", "fhir")
    return Demo(environment, report, waiting)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def dagster_ui(demo: Demo) -> Iterator[str]:
    """URL of `dagster dev` on the demo."""
    url = f"http://127.0.0.1:{_free_port()}"
    with demo.report.with_name("dagster-dev.log").open("wb") as log, _dagster_dev(url, demo, log):
        yield url


@contextmanager
def _dagster_dev(url: str, demo: Demo, log: Any) -> Iterator[None]:
    program = Path(sys.executable).parent / "dagster"
    where = ("--host", "127.0.0.1", "--port", url.rpartition(":")[2])
    process = subprocess.Popen(
        [program, "dev", "--module-name", "hc_assets.definitions", *where],
        env=os.environ | demo.environment,
        cwd=demo.report.parent,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(url):
            log_text = Path(log.name).read_text(errors="replace")
            assert process.poll() is None, log_text
            assert time.monotonic() < deadline, log_text
            time.sleep(0.5)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=5)  # it waits for the connections of pages
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=10) as answer:  # noqa: S310
            return bool(json.load(answer))
    except OSError:
        return False
