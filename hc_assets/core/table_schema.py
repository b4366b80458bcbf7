"""What a table's rows are: their columns, what those are made from, the version of the code.

Belongs here: the shape only. The columns themselves are in each domain's schemas.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from hc_assets.core.lineage import Lineage

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class TableSchema:
    """The rows of one table, as far as they follow from code.

    Attributes:
        schema: Arrow schema, every column with a description and a unit.
        lineage: which columns its columns are made from.
        code_version: counted up when the same input gives other rows, or when the schema changes:
            rows that were made before lack a new column, and only the version shows that.
    """

    schema: "pa.Schema"
    lineage: Lineage
    code_version: str = "1"

    def digest(self) -> str:
        """Hash of the columns' names, types and order, and of which may be null; not of notes."""
        columns = "\n".join(f"{f.name} {f.type} {f.nullable}" for f in self.schema)
        return sha256(columns.encode()).hexdigest()
