"""FHIRPath as generated Python: members, where, first, exists, ofType, extension, keys, logic.

Belongs here: which expressions there is code for, and what they become. They mean what
`fhir/fhirpath` says they mean; whatever is not sure to be the same raises in generated code, or is
not supported at all.
"""

from decimal import Decimal

from hc_assets.fhir.fhirpath import TypeView
from hc_assets.fhir.fhirpath.syntax import (
    Call,
    Constant,
    Expression,
    Indexer,
    Literal,
    Member,
    Operation,
    TypeOperation,
    Variable,
)
from hc_assets.fhir.views.constants import ROW_INDEX
from hc_assets.fhir.views.fast.structs import Members, UnsupportedError, attribute
from hc_assets.fhir.views.fast.writer import NOTHING, Choice, Value, Writer

_LOGIC = frozenset({"and", "or"})
_COMPARED = {"=": "==", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_NUMBERS = frozenset({"integer", "decimal"})
_GENERAL = "raise TakeGeneralWayError"


class PathWriter:
    """Writes the code of expressions."""

    def __init__(self, writer: Writer, members: Members, types: TypeView) -> None:
        """Write into a writer, and take the members that are needed."""
        self._writer, self._members, self._types = writer, members, types

    def value(self, tree: Expression, focus: Value, index: str) -> Value:
        """Write what gives the collection of an expression.

        Args:
            tree: the expression.
            focus: what it looks at.
            index: variable or literal of `%rowIndex`.

        Raises:
            UnsupportedError: there is no code for it.
        """
        key = repr(tree), focus.name, index
        known = self._writer.known(key)
        if known is None:
            made = self._made(tree, focus, index)
            if isinstance(made, Choice):
                raise UnsupportedError("a choice of types")
            known = self._writer.keep(key, made)
        if not isinstance(known, Value):
            raise UnsupportedError("a choice of types")
        return known

    def truth(self, tree: Expression, focus: Value, index: str) -> str:
        """Write what gives the truth of an expression, and return its variable.

        It is True, False, or None for unknown.
        """
        key = "truth", repr(tree), focus.name, index
        known: str | None = self._writer.known(key)
        if known is None:
            found = self._formed_truth(tree, focus, index)
            if found is None:
                found = self._truth_of(self.value(tree, focus, index))
            known = self._writer.keep(key, found)
        return str(known)

    def single(self, value: Value) -> str:
        """Write what gives the only value or None, and return its variable."""
        if not value.is_many:
            return value.name
        with self._writer.block(f"if {value.name} and len({value.name}) > 1:"):
            self._writer.line(_GENERAL)
        return self._writer.assign(f"{value.name}[0] if {value.name} else None")

    # What gives a collection

    def _made(self, tree: Expression, focus: Value, index: str) -> Value | Choice:
        if (formed := self._formed_truth(tree, focus, index)) is not None:
            return Value(formed, "boolean")
        match tree:
            case Literal(bool() as value):
                return Value(repr(value), "boolean", is_there=True)
            case Literal(str() as value):
                return Value(repr(value), "text", is_there=True)
            case Literal(int() as value):
                return Value(repr(value), "integer", is_there=True)
            case Variable("this"):
                return focus
            case Constant(name) if name == ROW_INDEX:
                return Value(index, "integer", is_there=True)
            case Member(base, name):
                return self._member(base, name, focus, index)
            case Indexer(base, Literal(int() as number)) if not isinstance(number, bool):
                return self._at(self.value(base, focus, index), number)
            case TypeOperation("as", operand, name):
                return self._of_type(self._base(operand, focus, index), name)
            case Call():
                return self._call(tree, focus, index)
        raise UnsupportedError(type(tree).__name__)

    def _base(self, tree: Expression | None, focus: Value, index: str) -> Value | Choice:
        if tree is None:
            return focus
        if isinstance(tree, Member):
            return self._member(tree.base, tree.name, focus, index)
        return self.value(tree, focus, index)

    def _member(
        self, base: Expression | None, name: str, focus: Value, index: str
    ) -> Value | Choice:
        of = focus if base is None else self.value(base, focus, index)
        if base is None and name[:1].isupper():
            if of.position is None or of.is_many:
                raise UnsupportedError("the name of a type")
            if self._types.is_a(of.position.type_name, name):
                return of
        if of.position is None:
            return NOTHING  # a primitive has members where it has a sibling alone
        found = self._members.of_element(of.position.type_name, name)
        if not found:
            return NOTHING
        if list(found) != [name]:
            return Choice(of, tuple(found.items()))
        return self._step(of, name, found[name])

    def _step(self, base: Value, member: str, code: str) -> Value:
        """The values of a member."""
        key = "step", base.name, member
        if (known := self._writer.known(key)) is not None and isinstance(known, Value):
            return known
        if base.position is None:
            raise UnsupportedError("members of a primitive")
        needed = self._members.need(base.position, member, code)
        name = attribute(member)
        if not base.is_many:
            text = f"{base.name}.{name}"
            if not base.is_there:
                text = f"None if {base.name} is None else {text}"
            made = Value(self._writer.assign(text), needed.kind, needed.is_list, needed.below)
        else:
            listed = self._writer.assign("[]")
            each, value = self._writer.name(), self._writer.name()
            with self._writer.block(f"for {each} in {base.name} or ():"):
                self._writer.line(f"{value} = {each}.{name}")
                with self._writer.block(f"if {value} is not None:"):
                    add = "extend" if needed.is_list else "append"
                    self._writer.line(f"{listed}.{add}({value})")
            made = Value(listed, needed.kind, is_many=True, position=needed.below)
        return self._writer.keep(key, made)  # type: ignore[no-any-return]

    def _at(self, base: Value, number: int) -> Value:
        if number < 0:
            return NOTHING
        if not base.is_many:
            return base if number == 0 else NOTHING
        name, test = base.name, base.name if number == 0 else f"len({base.name} or ()) > {number}"
        text = f"{name}[{number}] if {test} else None"
        return Value(self._writer.assign(text), base.kind, position=base.position)

    def _of_type(self, base: Value | Choice, type_name: str) -> Value:
        namespace, _, local = type_name.rpartition(".")
        if namespace not in ("", "FHIR"):
            raise UnsupportedError("types of FHIRPath")
        if isinstance(base, Choice):
            fits = [(m, code) for m, code in base.members if self._types.is_a(code, local)]
            if len(fits) > 1:
                raise UnsupportedError("a type with several subtypes")
            return self._step(base.base, *fits[0]) if fits else NOTHING
        if base.kind == "":
            return NOTHING
        if base.position is None:
            raise UnsupportedError("the type of a primitive")
        return base if self._types.is_a(base.position.type_name, local) else NOTHING

    def _call(self, call: Call, focus: Value, index: str) -> Value:
        name, arguments = call.name, call.arguments
        match name, arguments:
            case "ofType" | "as", (Member(None, type_),):
                return self._of_type(self._base(call.base, focus, index), type_)
            case "ofType" | "as", (Member(Member(None, space), type_),):
                return self._of_type(self._base(call.base, focus, index), f"{space}.{type_}")
        base = focus if call.base is None else self.value(call.base, focus, index)
        match name, arguments:
            case "where", (criterion,):
                return self._where(base, criterion)
            case "first", ():
                return self._at(base, 0)
            case "extension", (Literal(str() as url),):
                return self._extension(base, url)
            case "getResourceKey", () if base.is_resource:
                return self._resource_key(base)
            case "getReferenceKey", ():
                return self._reference_key(base, None)
            case "getReferenceKey", (Member(None, type_),):
                return self._reference_key(base, type_)
            case "join", (Literal(str() as separator),) if base.kind == "text":
                return self._joined(base, separator)
            case "join", () if base.kind == "text":
                return self._joined(base, "")
        raise UnsupportedError(name)

    def _where(self, base: Value, criterion: Expression) -> Value:
        if base.kind == "":
            return NOTHING
        write = self._writer
        found = write.assign("[]" if base.is_many else "None")
        if base.is_many:
            each = write.name()
            with write.block(f"for {each} in {base.name} or ():"):
                item = Value(each, base.kind, position=base.position, is_there=True)
                truth = self.truth(criterion, item, "0")
                with write.block(f"if {truth} is True:"):
                    write.line(f"{found}.append({each})")
        else:
            with write.block(f"if {base.name} is not None:"):
                item = Value(base.name, base.kind, False, base.position, True, base.is_resource)
                truth = self.truth(criterion, item, "0")
                with write.block(f"if {truth} is True:"):
                    write.line(f"{found} = {base.name}")
        return Value(found, base.kind, base.is_many, base.position, False, base.is_resource)

    def _extension(self, base: Value, url: str) -> Value:
        if base.position is None:
            return NOTHING  # a primitive has extensions where it has a sibling alone
        write = self._writer
        first = self._members.need(base.position, "extension", "Extension")
        below = first.below
        if below is None:
            raise UnsupportedError("extensions of no type")
        self._members.need(below, "url", "uri")
        lists = ["extension"]
        if self._members.of_element(base.position.type_name, "modifierExtension"):
            second = self._members.need(base.position, "modifierExtension", "Extension")
            second.below = below
            lists.append("modifierExtension")
        found, of, each = write.assign("[]"), base.name, write.name()
        elements = f"{of} or ()" if base.is_many else f"({of},) if {of} is not None else ()"
        for name in lists:  # all of the first before those of the second
            element = write.name()
            with (
                write.block(f"for {element} in {elements}:"),
                write.block(f"for {each} in {element}.{name} or ():"),
                write.block(f"if {each}.url == {url!r}:"),
            ):
                write.line(f"{found}.append({each})")
        return Value(found, "struct", is_many=True, position=below)

    def _resource_key(self, base: Value) -> Value:
        if base.position is None:
            raise UnsupportedError("the key of a primitive")
        id_ = self._step(base, "id", "id").name
        prefix = f"{base.position.type_name}/"
        key = self._writer.assign(f"None if {id_} is None else {prefix!r} + {id_}")
        return Value(key, "text")

    def _reference_key(self, base: Value, wanted: str | None) -> Value:
        if base.kind == "":
            return NOTHING
        if base.position is None or base.position.type_name != "Reference":
            raise UnsupportedError("the key of what is no Reference")
        for member, code in (("reference", "string"), ("type", "uri")):
            self._members.need(base.position, member, code)
        write = self._writer
        found, each = write.assign("[]" if base.is_many else "None"), base.name
        if base.is_many:
            each = write.name()
            head = f"for {each} in {base.name} or ():"
        else:
            head = f"if {base.name} is not None:"
        with write.block(head), write.block(f"if {each}.reference is not None:"):
            call = f"reference_key({each}.reference, {each}.type, {wanted!r})"
            if not base.is_many:
                write.line(f"{found} = {call}")
            else:
                key = write.assign(call)
                with write.block(f"if {key} is not None:"):
                    write.line(f"{found}.append({key})")
        return Value(found, "text", base.is_many)

    def _joined(self, base: Value, separator: str) -> Value:
        texts = base.name if base.is_many else f"([] if {base.name} is None else [{base.name}])"
        made = self._writer.assign(f"joined_text({texts} or [], {separator!r})")
        return Value(made, "text")

    # What gives a truth value

    def _formed_truth(self, tree: Expression, focus: Value, index: str) -> str | None:
        """The variable of an expression that gives a truth value by its form; else None."""
        match tree:
            case Operation("and" | "or" as operator, operands):
                return self._logic(operator, operands, focus, index)
            case Operation("!=", operands):
                return self._negated(self.truth(Operation("=", operands), focus, index))
            case Operation(operator, (left, right)) if operator in _COMPARED:
                return self._compared(operator, left, right, focus, index)
            case Call(base, "not", (), _) if base is not None:
                return self._negated(self.truth(base, focus, index))
            case Call(base, "exists", (), _):
                return self._exists(self._base(base, focus, index))
            case Call(base, "empty", (), _):
                return self._negated(self._exists(self._base(base, focus, index)))
            case Call(base, "exists", (criterion,), _):
                of = focus if base is None else self.value(base, focus, index)
                return self._exists(self._where(of, criterion))
        return None

    def _negated(self, truth: str) -> str:
        return self._writer.assign(f"None if {truth} is None else not {truth}")

    def _exists(self, value: Value | Choice) -> str:
        if isinstance(value, Value):
            test = f"bool({value.name})" if value.is_many else f"{value.name} is not None"
            return self._writer.assign(test)
        base = value.base
        if base.is_many or base.position is None:
            raise UnsupportedError("whether there is a value in several elements")
        for member, code in value.members:
            self._members.need_presence(base.position, member, code)
        tests = " or ".join(f"{base.name}.{attribute(m)} is not None" for m, _ in value.members)
        there = "" if base.is_there else f"{base.name} is not None and "
        return self._writer.assign(f"{there}({tests})")

    def _truth_of(self, value: Value) -> str:
        if value.kind == "":
            return "None"
        name = self.single(value)
        if value.kind == "boolean":
            return name
        return self._writer.assign(f"None if {name} is None else True")

    def _logic(
        self, operator: str, operands: tuple[Expression, ...], focus: Value, index: str
    ) -> str:
        decides, write = repr(operator == "or"), self._writer
        result = write.assign(self.truth(operands[0], focus, index))
        for operand in operands[1:]:
            with write.block(f"if {result} is not {decides}:"):
                truth = self.truth(operand, focus, index)
                with write.block(f"if {truth} is {decides} or {truth} is None:"):
                    write.line(f"{result} = {truth}")
        return result

    def _compared(
        self, operator: str, left: Expression, right: Expression, focus: Value, index: str
    ) -> str:
        """A value beside a literal."""
        if not isinstance(right, Literal):
            raise UnsupportedError("two values that are compared")
        literal, write = right.value, self._writer
        value = self.value(left, focus, index)
        if value.kind == "":
            return "None"
        if not _comparable(operator, value.kind, literal):
            raise UnsupportedError("values of two kinds that are compared")
        constant = repr(literal)
        python = _COMPARED[operator]
        if value.is_many and operator == "=":
            result = write.assign("None")
            with write.block(f"if {value.name}:"):
                first = _number(f"{value.name}[0]", value.kind)
                test = f"len({value.name}) == 1 and {first} {python} {constant}"
                write.line(f"{result} = {test}")
            return result
        name = self.single(value)
        test = f"{_number(name, value.kind)} {python} {constant}"
        return write.assign(f"None if {name} is None else {test}")


def _number(name: str, kind: str) -> str:
    return f"number_of({name})" if kind == "decimal" else name


def _comparable(operator: str, kind: str, literal: object) -> bool:
    if isinstance(literal, bool):
        return operator == "=" and kind == "boolean"
    if isinstance(literal, str):
        return operator == "=" and kind == "text"
    return isinstance(literal, int | Decimal) and kind in _NUMBERS
