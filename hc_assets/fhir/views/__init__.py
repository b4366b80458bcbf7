"""SQL on FHIR: ViewDefinitions as flat tables, read, judged, compiled and kept up to date."""
