"""From a file to its frames in modality units."""
