"""What is wrong with a search, as whoever asked gets it: an OperationOutcome.

Belongs here: the error and its resource. What is found wrong is in `parsing.py` and `operands.py`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hc_assets.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: R4's code of an issue.
        text: for people; names parameters, and no value.
        droppable: whether a lenient search goes on without the parameter.
    """

    code: str
    text: str
    droppable: bool = False


class SearchError(UsageError):
    """A search that can't be answered."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Say all that is wrong with it."""
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = tuple(problems)

    def outcome(self) -> dict[str, Any]:
        """The OperationOutcome."""
        return outcome_of(self.problems, "error")

    def json(self) -> str:
        """The OperationOutcome as JSON."""
        return json.dumps(self.outcome())


def outcome_of(problems: Sequence[Problem], severity: str) -> dict[str, Any]:
    """An OperationOutcome of some problems, each of the same severity."""
    issues = [
        {"severity": severity, "code": each.code, "diagnostics": each.text} for each in problems
    ]
    return {"resourceType": "OperationOutcome", "issue": issues}


def refusal(code: str, text: str, *, droppable: bool = False) -> SearchError:
    """The error of one problem."""
    return SearchError((Problem(code, text, droppable),))
