"""How far a long step is: said by whoever does the work, heard by whoever shows it.

Belongs here: handing it from one to the other, and how often. What is shown, and where, is decided
by the listeners: the terminal's in `cli/`, Dagster's log in `orchestration/`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

SECONDS = 5.0
"""Between two reports of a step, at least; its last one always comes."""


@dataclass(frozen=True)
class Report:
    """How far a step is.

    Attributes:
        step: name of it.
        done: how many of its pieces are done.
        total: of how many; None where nobody knows yet.
        piece: what one piece is, such as `series`.
        last: the piece that was done last, by a number or a hash: never by a value of a patient.
        seconds: since the step began.
        is_last: whether it is the last report of the step.
    """

    step: str
    done: int
    total: int | None
    piece: str
    last: str
    seconds: float
    is_last: bool

    def __str__(self) -> str:
        """One line, such as `aligned_volumes: 3 of 12 studies, 41 s (last: 9f2c01aa)`."""
        of = "" if self.total is None else f" of {self.total}"
        last = f" (last: {self.last})" if self.last else ""
        return f"{self.step}: {self.done}{of} {self.piece}, {self.seconds:.0f} s{last}"


Listener = Callable[[Report], None]
_LISTENERS: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Let a listener hear of all steps in a block, besides those that do already."""
    token = _LISTENERS.set((*_LISTENERS.get(), listener))
    try:
        yield
    finally:
        _LISTENERS.reset(token)


def reported(
    items: Iterable[T],
    step: str,
    piece: str,
    *,
    total: int | None = None,
    name: Callable[[T], str] = lambda _: "",
    seconds: float = SECONDS,
    listener: Listener | None = None,
    is_brief: bool = False,
) -> Iterator[T]:
    """Hand on what a step does, piece by piece, and report how far it is.

    Args:
        items: what each piece came to, in the order in which they are done.
        step: its name.
        piece: what one is, in the plural.
        total: how many there will be; None where nobody knows.
        name: number or hash of a piece; never a value of a patient.
        seconds: between two reports, at least.
        listener: that hears of this step besides those of `heard_by`.
        is_brief: whether nothing is said where all is done before the first report is due; else the
            start, where the total is known, and the end are said in any case.

    Yields:
        The items.
    """
    listeners = (*_LISTENERS.get(), *([listener] if listener else []))
    start = said = monotonic()
    done, last = 0, ""

    def say(*, is_last: bool) -> None:
        report = Report(step, done, total, piece, last, monotonic() - start, is_last)
        for each in listeners:
            each(report)

    if total and not is_brief:
        say(is_last=False)
    for item in items:
        done, last = done + 1, name(item)
        yield item
        if monotonic() - said >= seconds:
            said = monotonic()
            say(is_last=False)
    if done and not (is_brief and said == start):
        say(is_last=True)


def short_hash(text: str) -> str:
    """Name a study or a series in a report: the first letters of the SHA-256 of its UID."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
