"""Resources over all batches: their versions, kept in DuckDB."""
