"""What measured values mean: judgement, limits and their sources, units."""
