"""Files that peers send over the network."""
