"""FHIR R4: from bundles and Bulk Data NDJSON to current resources and exports."""
