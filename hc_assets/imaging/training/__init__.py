"""Training sets: which frames, in which split, with which labels, and the folder they leave in."""
