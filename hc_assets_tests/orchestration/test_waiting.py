from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hc_assets.orchestration.waiting import Patience, Waiting

START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
PATIENCE = Patience("*/2 * * * *", "0 * * * *", grace=timedelta(minutes=1))
ONE = [("fhir/exports", "fhir/enriched/b1")]
TWO = [*ONE, ("fhir/exports", "fhir/enriched/b2")]


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def is_due(waiting: Waiting, minute: float, *, batches_come: bool = False) -> bool:
    return waiting.is_due(PATIENCE, at(minute), batches_come=batches_come)


def test_what_is_left_out_is_due_once_a_quiet_tick_and_the_grace_have_passed():
    waiting = Waiting().seen(ONE, at(0)).seen(ONE, at(1))
    assert [minute for minute in range(5) if is_due(waiting, minute)] == [3, 4]


def test_nothing_is_due_where_nothing_is_left_out():
    assert not is_due(Waiting(), 500)
    assert Waiting().seen(ONE, at(0)).seen([], at(1)) == Waiting()


def test_a_further_batch_starts_the_quiet_period_again():
    waiting = Waiting().seen(ONE, at(0)).seen(TWO, at(2))
    assert not is_due(waiting, 4)
    assert is_due(waiting, 5)


def test_it_is_due_after_the_latest_tick_although_batches_come():
    waiting = Waiting().seen(ONE, at(0))
    assert not is_due(waiting, 59, batches_come=True)
    assert is_due(waiting, 61, batches_come=True)


def test_where_batches_never_cease_each_counts_from_when_it_was_left_out():
    waiting = Waiting().seen(ONE, at(0)).seen(TWO[1:], at(50))
    assert waiting.first_at == at(50)


def test_pauses_grow_to_a_day_and_begin_again_with_what_comes_after():
    waiting = Waiting().seen(ONE, at(0))
    asked = []
    for minute in range(10, 4 * 24 * 60, 5):
        if is_due(waiting, minute):
            asked.append(minute)
            waiting = waiting.asked(at(minute))
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]
    assert waiting.seen(TWO[1:], at(9999)).requests == 0


def test_a_clock_that_is_set_back_does_not_make_it_wait():
    waiting = Waiting().seen(ONE, at(1000)).asked(at(1000)).seen(ONE, at(0))
    assert is_due(waiting, 3)


def test_the_cursor_keeps_it_in_a_size_that_does_not_grow():
    waiting = Waiting().seen(TWO, at(0)).asked(at(1))
    assert Waiting.of_cursor(waiting.to_cursor()) == waiting
    many = [("fhir/exports", f"fhir/enriched/b{number}") for number in range(10_000)]
    assert len(Waiting().seen(many, at(0)).to_cursor()) < 500
    assert Waiting.of_cursor(None) == Waiting()
