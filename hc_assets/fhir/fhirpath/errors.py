"""What can go wrong with a FHIRPath expression, when it is read and when it is evaluated.

Belongs here: the error types alone. Their texts name the rule and the kind of trouble, never a
value of the data; who raises them says when.
"""


class FhirPathError(Exception):
    """Base of everything that the evaluator raises."""


class FhirPathSyntaxError(FhirPathError):
    """The expression can't be read, or uses something that this evaluator doesn't know.

    Attributes:
        position: offset in the expression, in characters from 0; None where no place can be named.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        place = "" if position is None else f" (at character {position})"
        super().__init__(f"{message}{place}")
        self.position = position


class EvaluationError(FhirPathError):
    """The expression has no value on this data: two values where one must be, text for a number.

    FHIRPath has the evaluation end here; HL7's validator counts the invariant as broken.
    """


class UndecidableError(EvaluationError):
    """The value depends on what isn't at hand: a terminology, a profile, a conversion of units."""
