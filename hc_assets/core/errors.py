"""Base classes of our own errors: what a command's exit code follows from.

Belongs here: classes alone. An error's own class lies beside what raises it and derives from one of
these; `cli/exit_codes.py` says which exit code each is. Which errors are worth another try is in
`transient.py`; what may be kept of a library's error is in `redaction.py`.
"""

from typing import ClassVar


class HcAssetsError(Exception):
    """An error of ours; says what is wrong, and quotes nothing of a patient's.

    Attributes:
        advice: what to do about it, appended to what a command prints; "" where the text says it.
    """

    advice: ClassVar[str] = ""


class FindingsError(HcAssetsError):
    """The data are at fault: they were read, and something was found in them."""


class UsageError(HcAssetsError):
    """Whoever called is at fault: something that does not exist or contradicts itself."""


class UnreadableInputError(HcAssetsError):
    """An input is not there or can't be read."""


class EnvironmentFaultError(HcAssetsError):
    """The folder, a service or the disk is at fault."""


class TransientError(EnvironmentFaultError):
    """A fault that passes by itself: the same work may succeed when it is tried again."""


class DamagedLakeError(EnvironmentFaultError):
    """Something in the lake is not what was written."""

    advice = "`hc-assets lake verify --repair` rebuilds it"
