"""DICOM: from files to an index, quality metrics and preprocessed arrays."""
