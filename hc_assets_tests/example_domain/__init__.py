"""Notes: a domain as small as one can be."""
