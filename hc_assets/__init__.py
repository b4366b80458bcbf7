"""hc_assets: raw healthcare data as Dagster assets that analysts and models can trust.

The package itself holds nothing; see `definitions.py` for the assets and `cli/main.py` for the
command.
"""
