"""The fast path: compiled code that accepts valid resources and refuses what may be invalid."""
