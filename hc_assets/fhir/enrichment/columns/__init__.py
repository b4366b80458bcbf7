"""Enrichment of whole columns at once, with the same result as row by row."""
