"""What is reported of a failed run, and to whom.

Belongs here: a summary that a person can act on, and handing it to mail, chat or whatever else
Apprise supports. That a run failed is seen in `sensors.py`. A summary names steps, checks and
kinds of errors, and never an error's text, which may hold what it failed on.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class AlertNotSentError(Exception):
    """Some recipients of an alert could not be reached."""


@dataclass(frozen=True)
class FailedRun:
    """A run that failed.

    Attributes:
        job: its name.
        run_id: Dagster's id of it.
        batch: key of its batch, or `<first>...<last>` of a range; "" where it has none.
        steps: name of each step that failed, with the class of its error.
        blocking: asset, name and explanation of each blocking check that failed.
    """

    job: str
    run_id: str
    batch: str
    steps: Sequence[tuple[str, str]]
    blocking: Sequence[tuple[str, str, str]]


def title(run: FailedRun) -> str:
    """One line that says which run failed."""
    return f"hc_assets: {run.job} failed{f' on batch {run.batch}' if run.batch else ''}"


def summary(run: FailedRun, ui_url: str) -> str:
    """Describe in Markdown what failed, what that means, and what to do."""
    lines = [f"# {title(run)}", ""]
    lines += [
        f"- check `{name}` of `{asset}` did not hold: {explanation}"
        for asset, name, explanation in run.blocking
    ]
    lines += [f"- step `{step}` ended with {error}" for step, error in run.steps]
    if not run.steps and not run.blocking:
        lines.append("- the run ended without any step failing: its process was stopped or lost")
    lines += ["", _advice(run), "", f"Run: {ui_url.rstrip('/')}/runs/{run.run_id}"]
    return "\n".join(lines) + "\n"


def _advice(run: FailedRun) -> str:
    if run.blocking:
        return (
            "What the check guards was not made from this batch; other batches go on. Look at the"
            " batch, then run it again from the UI."
        )
    return (
        "Faults that pass by themselves were tried again already. Nothing is half written: when the"
        " cause is mended, run it again from the UI, and it completes what is there."
    )


def send(text: str, *, subject: str, urls: Sequence[str]) -> None:
    """Notify every recipient.

    Args:
        text: Markdown.
        subject: one line.
        urls: Apprise URLs.

    Raises:
        AlertNotSentError: a URL is not understood, or its service did not take the message. URLs
            hold passwords, so it says only which one, counted from 1.
    """
    import apprise  # noqa: PLC0415 - a quarter of a second that every run would take to start

    failed = []
    for number, url in enumerate(urls, start=1):
        receiver = apprise.Apprise()
        if not receiver.add(url) or not receiver.notify(
            body=text, title=subject, body_format=apprise.NotifyFormat.MARKDOWN
        ):
            failed.append(str(number))
    if failed:
        raise AlertNotSentError(f"HC_ALERT_URLS: number {', '.join(failed)} was not reached")
