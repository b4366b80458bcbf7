"""The rules of R4 that go beyond the structure of an element."""
