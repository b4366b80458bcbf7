"""The evaluators behind the imaging checks, without Dagster."""
