"""Volumes: the slices of a series as one grid in the patient, and what is made of such grids."""
