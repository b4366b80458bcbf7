"""The index of all current resources, kept in immutable DuckDB files and brought up by batch."""
