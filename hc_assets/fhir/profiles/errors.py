"""What can be wrong with the profiles that a user gives.

Belongs here: the error type alone. What is wrong with a resource is an `Issue`, never an exception.
"""

from pathlib import Path


class ProfileError(Exception):
    """A file of profiles can't be used.

    Attributes:
        file: the file.
        place: where in it, for example `StructureDefinition.snapshot.element[3].min`; "" for the
            file as a whole.
        text: what was found and what was expected.
    """

    def __init__(self, file: Path | str, place: str, text: str) -> None:
        """Note file, place and text."""
        super().__init__(": ".join(part for part in (str(file), place, text) if part))
        self.file = str(file)
        self.place = place
        self.text = text
