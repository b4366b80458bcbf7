"""Which resources another one can speak of, by their sources: the rule, in SQL.

Belongs here: comparing sources. Which source a delivery counts to is decided in `deliveries.py`.
"""

# The base of a server, and not a name; see `fhir/bundles/sources.py`.
IS_SERVER = "contains({}, '://')"


def may_be_one(first: str, second: str) -> str:
    """Whether two sources can be the same one, as an expression in SQL.

    They are where they are equal. What names no source may be of any server, since servers are told
    by addresses alone, and much comes without them; a name that a user gave is meant.

    Args:
        first: a column.
        second: a column.
    """
    unnamed = " OR ".join(
        f"({left} IS NULL AND {IS_SERVER.format(right)})"
        for left, right in ((first, second), (second, first))
    )
    return f"(coalesce({first} IS NOT DISTINCT FROM {second} OR {unnamed}, false))"
