"""Landed bytes become raw resources, byte for byte."""
