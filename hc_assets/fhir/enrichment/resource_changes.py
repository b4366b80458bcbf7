"""What is added to a resource, member by member, before it is written again.

Belongs here: where an addition goes. What is added is decided in `enricher.py`.
"""

from collections.abc import Sequence

from hc_assets.fhir.enrichment.columns.resource_texts import Resource, spliced


class Changes:
    """What is added to a resource; every other byte of it stays."""

    def __init__(self, sent: Resource) -> None:
        self.sent = sent
        self.has_new_extension = False
        self._replaced: list[tuple[int, int, bytes]] = []
        self._appended = b""

    def append(self, member: bytes) -> None:
        """Add a member, name and value, behind all others."""
        self._appended += b"," + member

    def add_after(self, name: str, member: bytes) -> None:
        """Add a member, name and value, behind the one of a name."""
        end = self.sent.ends[2 * self.sent.names.places[name] + 1]
        self._replaced.append((end, end, b"," + member))

    def replace(self, name: str, value: bytes) -> None:
        """Put another value in place of a member's."""
        place = self.sent.names.places[name]
        begin, end = self.sent.ends[2 * place : 2 * place + 2]
        self._replaced.append((begin, end, value))

    def extend(self, extensions: Sequence[bytes]) -> None:
        """Append extensions."""
        added = b",".join(extensions)
        place = self.sent.names.places.get("extension")
        if place is None:
            self.append(b'"extension":[%b]' % added)
            self.has_new_extension = True
        else:
            end = self.sent.ends[2 * place + 1]
            self._replaced.append((end - 1, end - 1, b"," + added))

    def written(self) -> bytes:
        """Return the resource with them."""
        return spliced(self.sent.text, sorted(self._replaced), self._appended)
