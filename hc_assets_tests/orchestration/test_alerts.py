import socket
from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller

from hc_assets.orchestration.alerts import AlertNotSentError, FailedRun, send, summary, title

STEP = FailedRun("ingest_fhir", "r1", "b1", [("fhir__raw_bundles", "OSError")], [])
CHECK = FailedRun(
    "ingest_fhir",
    "r2",
    "b1...b9",
    [],
    [("fhir/validated_resources", "every_entry_accounted_for", "entries: 3 in, 2 kept")],
)
LOST = FailedRun("publish_fhir", "r3", "", [], [])


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (STEP, "- step `fhir__raw_bundles` ended with OSError"),
        (CHECK, "- check `every_entry_accounted_for` of `fhir/validated_resources` did not hold"),
        (LOST, "- the run ended without any step failing"),
    ],
)
def test_a_summary_has_what_failed_what_to_do_and_where_to_look(run, expected):
    text = summary(run, "http://ui/")
    assert expected in text
    assert "run it again from the UI" in text
    assert f"http://ui/runs/{run.run_id}" in text


def test_the_title_names_job_and_batches():
    assert title(CHECK) == "hc_assets: ingest_fhir failed on batch b1...b9"
    assert title(LOST) == "hc_assets: publish_fhir failed"


class Mailbox:
    def __init__(self) -> None:
        self.letters: list[str] = []

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802
        self.letters.append(envelope.content.decode())
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[str, Mailbox]]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield f"mailto://127.0.0.1:{port}?from=hc@example.org&to=ops@example.org&mode=insecure", box
    server.stop()


def test_a_web_hook_receives_the_alert(webhook):
    url, received = webhook
    send("# It failed", subject="failed", urls=[url])
    (alert,) = received
    assert alert["title"] == "failed"
    assert "It failed" in alert["message"]


def test_a_letter_is_sent(mailbox):
    url, box = mailbox
    send("# It failed", subject="failed", urls=[url])
    (letter,) = box.letters
    assert "Subject: failed" in letter
    assert "It failed" in letter


def test_nobody_to_tell_is_no_error():
    send("text", subject="failed", urls=[])


def test_all_are_told_and_the_one_not_reached_is_named_by_its_number_only(webhook):
    url, received = webhook
    unreachable = "json://user:secret@127.0.0.1:9"
    with pytest.raises(AlertNotSentError) as caught:
        send("text", subject="failed", urls=["nonsense", unreachable, url])
    assert "number 1, 2 was not reached" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(received) == 1
