"""Columns of an issue, as every FHIR table has them that tells of issues.

Belongs here: the schema only. What an issue is is in `r4/issues.py`.
"""

import pyarrow as pa

from hc_assets.core.columns import column

ISSUE = pa.struct(
    [
        column("severity", pa.string(), "fatal, error, warning or information"),
        column("code", pa.string(), "HL7 IssueType code"),
        column("rule", pa.string(), "Identifier of the rule, such as obs-7 or cardinality"),
        column("expression", pa.string(), "FHIRPath of the place in the resource"),
        column("diagnostics", pa.string(), "What was found and what was expected"),
    ]
)
