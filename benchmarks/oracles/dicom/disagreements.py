"""To come."""


def score(files: object) -> int:
    """Count."""
    return 0
