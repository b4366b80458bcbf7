"""Seeded, made-up patients and images, with known flaws in known places."""
