"""Conditions put together: from a query to the statement that finds its matches.

Belongs here: sets of resources. What one value comes to is in `conditions.py`; who runs statements
is `execute.py`.
"""

from datetime import datetime
from typing import cast

from hc_assets.fhir.search.conditions import condition, identifier_condition
from hc_assets.fhir.search.parameters import Parameter
from hc_assets.fhir.search.query import (
    Chain,
    Compartment,
    CompositeTest,
    Condition,
    Has,
    Match,
    Missing,
    Query,
    Sort,
    TokenTest,
)
from hc_assets.fhir.search.stored.layout import TABLE_OF, by_type, key_of, part_of

LINKED = "ref.type = target.type AND ref.id = target.id AND ref.source = target.source"
# What resources are put in order by: the least of their values, or the greatest from behind.
_SORTED_BY = {
    "token": ("code", "code"),
    "string": ("normal", "normal"),
    "reference": ("coalesce(type || '/' || id, url)", "coalesce(type || '/' || id, url)"),
    "date": ("low", "high"),
    "number": ("low", "high"),
    "quantity": ("coalesce(base_low, low)", "coalesce(base_high, high)"),
    "uri": ("uri", "uri"),
}


class Statement:
    """A statement while it is put together."""

    def __init__(self, now: datetime) -> None:
        """Begin one.

        Args:
            now: what `ap` measures times from.
        """
        self.values: dict[str, object] = {}
        self._now = now
        self._sets: list[str] = []
        self._names: dict[int, str] = {}

    def bind(self, value: object) -> str:
        """Make a value a parameter; its name in SQL."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def matches(self, query: Query) -> str:
        """The statement that selects the rows of all matches, as `rid`."""
        tests = [f"type = {self.bind(query.type)}"]
        if query.id is not None:
            tests.append(f"id = {self.bind(query.id)}")
        names = [self._set(each) for each in query.conditions]
        if query.compartment is not None:
            names.append(self._named(self._compartment(query.type, query.compartment)))
        tests += [f"rid IN (SELECT rid FROM {name})" for name in names]  # noqa: S608
        sets = f"WITH {', '.join(self._sets)} " if self._sets else ""
        return f"{sets}SELECT rid FROM resources WHERE {' AND '.join(tests)}"  # noqa: S608

    def _named(self, sql: str) -> str:
        name = f"set{len(self._sets)}"
        self._sets.append(f"{name} AS MATERIALIZED ({sql})")
        return name

    def _set(self, node: Condition) -> str:
        """Name of the set of rows that meet a condition; each condition is asked once."""
        if id(node) not in self._names:
            self._names[id(node)] = self._named(self._sql(node))
        return self._names[id(node)]

    def _sql(self, node: Condition) -> str:
        match node:
            case Match():
                return self._match(node)
            case Missing():
                found = self._present(node.type, node.parameter)
                return self._without(node.type, found) if node.is_missing else found
            case Chain():
                names = [self._set(each) for each in node.conditions]
                inner = " UNION ALL ".join(f"SELECT rid FROM {name}" for name in names)  # noqa: S608
                return (
                    f"SELECT DISTINCT ref.rid FROM refs AS ref JOIN resources AS target ON {LINKED}"  # noqa: S608
                    f" WHERE ref.key = {self._key(node.type, node.parameter.code)} AND ref.part = 0"
                    f" AND target.rid IN ({inner})"
                )
            case Has():
                inner = self._set(node.condition)
                return (
                    "SELECT DISTINCT target.rid"  # noqa: S608
                    f" FROM refs AS ref JOIN resources AS target ON {LINKED}"
                    f" WHERE ref.key = {self._key(node.type, node.parameter.code)} AND ref.part = 0"
                    f" AND target.type = {self.bind(node.target)}"
                    f" AND ref.rid IN (SELECT rid FROM {inner})"
                )

    def _key(self, type_: str, code: str) -> str:
        return self.bind(key_of(type_, code))

    def _without(self, type_: str, found: str) -> str:
        return f"SELECT rid FROM resources WHERE type = {self.bind(type_)} AND rid NOT IN ({found})"  # noqa: S608

    def _present(self, type_: str, parameter: Parameter) -> str:
        code, kind = parameter.code, parameter.type
        if kind == "composite":
            code, kind = part_of(code, 0), parameter.components[0].type
        return f"SELECT rid FROM {TABLE_OF[kind]} WHERE key = {self._key(type_, code)}"  # noqa: S608

    def _match(self, node: Match) -> str:
        parameter, modifier = node.parameter, node.modifier
        if parameter.type == "composite":
            return " UNION ".join(
                self._composite(node, cast("CompositeTest", test)) for test in node.tests
            )
        code = by_type(parameter.code) if modifier == "of-type" else parameter.code
        tests = []
        for test in node.tests:
            if parameter.type == "reference" and isinstance(test, TokenTest):
                tests.append(identifier_condition(test, self.bind))
            else:
                tests.append(condition(test, modifier, self.bind, self._now))
        any_of = " OR ".join(f"({each})" for each in tests)
        found = (
            f"SELECT rid FROM {TABLE_OF[parameter.type]}"  # noqa: S608
            f" WHERE key = {self._key(node.type, code)} AND part = 0 AND ({any_of})"
        )
        return self._without(node.type, found) if modifier in ("not", "not-in") else found

    def _composite(self, node: Match, test: CompositeTest) -> str:
        found = []
        for number, (component, part) in enumerate(
            zip(node.parameter.components, test.parts, strict=True)
        ):
            key = self._key(node.type, part_of(node.parameter.code, number))
            asked = condition(part, "", self.bind, self._now)
            table = TABLE_OF[component.type]
            found.append(f"SELECT rid, part FROM {table} WHERE key = {key} AND ({asked})")  # noqa: S608
        return f"SELECT rid FROM ({' INTERSECT '.join(found)})"  # noqa: S608

    def _compartment(self, type_: str, compartment: Compartment) -> str:
        owner, id_ = self.bind(compartment.type), self.bind(compartment.id)
        keys = self.bind([key_of(type_, each.code) for each in compartment.parameters])
        found = (
            f"SELECT rid FROM refs WHERE list_contains({keys}, key) AND part = 0"  # noqa: S608
            f" AND type = {owner} AND id = {id_}"
        )
        if type_ == compartment.type:
            found += f" UNION SELECT rid FROM resources WHERE type = {owner} AND id = {id_}"  # noqa: S608
        return found

    def page(self, type_: str, sorts: tuple[Sort, ...], last: list[object], count: int) -> str:
        """The statement that selects one page of the table `matches`, in order.

        Args:
            type_: of the matches.
            sorts: what they are put in order by; then by the order of their batches.
            last: what the row before the page is sorted by; none for the first page.
            count: rows that are wanted.

        Returns:
            A statement whose columns are the row, and what it is sorted by.
        """
        columns, joins, order = [], [], []
        for number, sort in enumerate(sorts):
            by = _SORTED_BY[sort.parameter.type][sort.descending]
            best = "max" if sort.descending else "min"
            joins.append(
                f"LEFT JOIN (SELECT rid, {best}({by}) AS value"  # noqa: S608
                f" FROM {TABLE_OF[sort.parameter.type]}"
                f" WHERE key = {self._key(type_, sort.parameter.code)} AND part = 0"
                f" AND rid IN (SELECT rid FROM matches) GROUP BY rid) AS by{number}"
                f" ON by{number}.rid = matches.rid"
            )
            columns.append(f"by{number}.value")
            direction = "DESC" if sort.descending else "ASC"
            order.append(f"by{number}.value {direction} NULLS LAST")
        after = f" WHERE {self._after(columns, sorts, last)}" if last else ""
        selected = ", ".join(["matches.rid", *columns])
        in_order = ", ".join([*order, "matches.rid"])
        return (
            f"SELECT {selected} FROM matches {' '.join(joins)}{after}"  # noqa: S608
            f" ORDER BY {in_order} LIMIT {self.bind(count)}"
        )

    def _after(self, columns: list[str], sorts: tuple[Sort, ...], last: list[object]) -> str:
        """Whether a row comes after another one: later by one value, and alike in those before."""
        alike = ["TRUE"]
        found = []
        for column, sort, value in zip(columns, sorts, last[1:], strict=True):
            if value is None:
                alike.append(f"{column} IS NULL")
                continue
            name = self.bind(value)
            later = "<" if sort.descending else ">"
            found.append(
                f"({' AND '.join(alike)} AND ({column} {later} {name} OR {column} IS NULL))"
            )
            alike.append(f"{column} = {name}")
        found.append(f"({' AND '.join(alike)} AND matches.rid > {self.bind(last[0])})")
        return " OR ".join(found)
