"""All that is Dagster's and no domain's: specs, checks, jobs, sensors, runs, the IO manager."""
