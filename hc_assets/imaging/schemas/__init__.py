"""Columns of the imaging tables, and what they are made from."""
