"""One module per modality, one registry: frames in, arrays ready for training out."""
