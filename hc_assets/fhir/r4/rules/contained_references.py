"""Whether contained resources are referenced (dom-3), without going through them again for each.

Belongs here: the guard against the quadratic cost of dom-3's expression. What the rule is belongs
to the definitions, its expression to `invariants.py`.
"""

from collections.abc import Callable

from hc_assets.fhir.fhirpath.model import Environment, Node, TypeView

# A rule ready to be asked: does it hold for a node?
Check = Callable[[Node, Environment], bool]


def contained_are_referenced(types: TypeView, general: Check) -> Check:
    """The check of dom-3 at a cost that grows with the resource, not with its square.

    Args:
        types: the types of the data.
        general: the compiled expression's check, which decides wherever data is not plain.

    Returns:
        A function that agrees with `general`.
    """
    step, is_a = types.step, types.is_a

    def texts(nodes: list[Node], type_name: str) -> set[str]:
        return {
            node.value
            for node in nodes
            if isinstance(node.value, str) and is_a(node.type_name, type_name)
        }

    def references(nodes: list[Node]) -> set[str]:
        found = step([*nodes], "reference")
        return {n.value for n in found if isinstance(n, Node) and isinstance(n.value, str)}

    def check(node: Node, environment: Environment) -> bool:
        if not isinstance(node.value, dict) or "contained" not in node.value:
            return True
        # The expression goes through the whole resource four times for each contained one.
        everything = types.descendants([environment.resource])
        targets = references(everything) | texts(everything, "uri")
        for contained in step([node], "contained"):
            if not isinstance(contained, Node) or not isinstance(contained.value, dict):
                return general(node, environment)
            id_ = contained.value.get("id")
            if not isinstance(id_, str) or "_id" in contained.value:
                return general(node, environment)
            if f"#{id_}" in targets:
                continue
            inside = types.descendants([contained])
            if "#" not in references(inside) and "#" not in texts(inside, "canonical"):
                # Broken it is, unless something about it makes the expression fail.
                return general(node, environment)
        return True

    return check
