"""From a file to its row of the index."""
