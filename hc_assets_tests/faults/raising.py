"""A fence that lets a share of what it fences in raise, anywhere in the code.

Belongs here: raising by chance, the same for the same seed. What must come of it is each test's.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hc_assets.core import fence

NAME = "Quvzixbrandt"
ERRORS: tuple[type[Exception], ...] = (ValueError, MemoryError, RecursionError, AttributeError)


class Raising:
    """Stands for `fence.fenced`, and raises within it.

    Attributes:
        raised: how often, by the name of the error.
    """

    def __init__(self, seed: str, share: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 - tests
        self._share = share
        self._fenced = fence.fenced
        self._is_paused = False
        self.raised: Counter[str] = Counter()

    def __call__(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call the function behind the fence; it raises at its begin or its end, or not at all."""
        if self._is_paused or self._random.random() >= self._share:
            return self._fenced(function, *args, **kwargs)

        def raising() -> None:
            if self._random.random() < 0.5:
                function(*args, **kwargs)
            raise kind(NAME)

        kind = self._random.choice(ERRORS)
        self.raised[kind.__name__] += 1
        return self._fenced(raising)

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Let every module of ours that is loaded have this for its fence."""
        with pytest.MonkeyPatch.context() as patch:
            for name, module in sorted(sys.modules.items()):
                if name.startswith("hc_assets.") and vars(module).get("fenced") is self._fenced:
                    patch.setattr(module, "fenced", self)
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Raise nothing for a while."""
        before, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = before
