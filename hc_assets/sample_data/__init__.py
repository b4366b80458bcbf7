"""Seeded, made-up patients and images, with known flaws in known places.

The way in is `write.write_sample`; tests that need one part take it from that part's module.
"""
