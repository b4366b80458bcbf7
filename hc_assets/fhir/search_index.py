"""The table of the search index, where there is to be one.

Belongs here: the declaration only; it is imported by whatever starts. Columns are in
`fhir/search/stored/schemas.py`.
"""

from pydantic_settings import BaseSettings, SettingsConfigDict

from hc_assets.core.domain import Table

TABLE = "fhir/search_index"


class _Wanted(BaseSettings):
    """Whether there is to be an index; the settings themselves are in `fhir/settings.py`."""

    model_config = SettingsConfigDict(env_prefix="HC_", extra="ignore", frozen=True)

    search_index: bool = True


def search_tables() -> tuple[Table, ...]:
    """The table of the index; none where HC_SEARCH_INDEX says so."""
    return (SEARCH_INDEX,) if _Wanted().search_index else ()


SEARCH_INDEX = Table(
    TABLE,
    "hc_assets.fhir.search.stored.schemas:TABLES",
    row="One row per batch that brought current resources: the file of the search index that"
    " they are in, and how many could not be indexed.",
    layer="out",
    per="all",
    kinds=frozenset({"fhir", "duckdb"}),
)
