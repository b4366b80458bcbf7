"""How hypothesis runs here: without deadlines, since shared machines pause when they like."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
