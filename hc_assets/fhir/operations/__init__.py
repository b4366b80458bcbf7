"""How the FHIR pipeline does: metrics over batches, drift, and the provenance of its tables."""
