"""What the pipeline knows of a valid resource, added to it."""
