"""FHIR search: what of a resource is searched, as typed values.

Belongs here: what other modules call. The parts: which parameters there are (`parameters.py`, and
`own_parameters.py` for the user's),
their expressions as routes through JSON (`paths.py`, `plan.py`), elements as values
(`converters.py` and the modules that it names), and the index of a resource (`index.py`). A search
is read (`parsing.py`), and answered (`execute.py`) from files that hold the index of all current
resources (`stored/`).

>>> patient = {"resourceType": "Patient", "id": "1", "birthDate": "1974-12", "gender": "female"}
>>> dict(index_of("Patient").values(patient))["gender"]
Token(system='http://hl7.org/fhir/administrative-gender', code='female', text=None, types=())
"""

from hc_assets.fhir.search.execute import NoIndexError, Searcher, search
from hc_assets.fhir.search.index import Index, index_of
from hc_assets.fhir.search.own_parameters import ParameterError, read_parameters
from hc_assets.fhir.search.parameters import Component, Parameter, parameters_of
from hc_assets.fhir.search.problems import SearchError
from hc_assets.fhir.search.values import (
    Amount,
    Composite,
    Interval,
    Number,
    Reference,
    Text,
    Token,
    Uri,
    Value,
)

__all__ = [
    "Amount",
    "Component",
    "Composite",
    "Index",
    "Interval",
    "NoIndexError",
    "Number",
    "Parameter",
    "ParameterError",
    "Reference",
    "SearchError",
    "Searcher",
    "Text",
    "Token",
    "Uri",
    "Value",
    "index_of",
    "parameters_of",
    "read_parameters",
    "search",
]
