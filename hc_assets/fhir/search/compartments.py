"""Which references put a resource into a compartment, by R4's CompartmentDefinitions.

Belongs here: reading them; they are kept in `compartments.json`, made from HL7's own (CC0).
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("compartments.json")


@cache
def compartments() -> Mapping[str, Mapping[str, list[str]]]:
    """Names of parameters by the type that the compartment is of, and the type of what is in it."""
    found: Mapping[str, Mapping[str, list[str]]] = json.loads(_FILE.read_bytes())
    return found
