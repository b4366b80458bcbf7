"""The evaluators behind the FHIR checks, without Dagster."""
