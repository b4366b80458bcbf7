"""Who is right by R4's text where our validator and HL7's engine disagree, by reason.

Belongs here: one entry for each class of disagreement. `compare.py` counts them.
"""

OURS: dict[str, tuple[str, str]] = {}
THEIRS: dict[str, tuple[str, str]] = {}
