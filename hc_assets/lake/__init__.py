"""Where every byte is kept. Knows nothing of FHIR or DICOM."""
