import pytest
from pydantic import ValidationError

from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.registry import RECIPES, recipe_for, recipes
from hc_assets.settings import Settings


def test_what_a_setting_names_replaces_its_default_alone(monkeypatch):
    monkeypatch.setenv("HC_PREPROCESSING", '{"aspect": "stretch", "mr": {"bias": "none"}}')
    parameters = Settings().preprocessing
    mr, ct = recipe_for("MR", parameters), recipe_for("CT", parameters)
    assert (mr.parameters.bias, mr.parameters.n4_shrink, mr.aspect) == ("none", 4, "stretch")
    assert ct.parameters == RECIPES["CT"].parameters


@pytest.mark.parametrize(
    "parameters",
    [
        {"mri": {}},
        {"mr": {"bais": "n4"}},
        {"mr": {"bias": "n5"}},
        {"ct": {"rows": 0}},
        {"ct": {"clahe_tiles": "many"}},
        {"dtype": "uint8"},
    ],
    ids=["pipeline", "name", "choice", "range", "type", "8 bits"],
)
def test_what_no_recipe_knows_is_an_error(parameters):
    with pytest.raises(ValidationError):
        Preprocessing.model_validate(parameters)


def test_each_label_names_one_recipe():
    every = recipes(Preprocessing())
    assert {label.partition("/")[0] for label in every} == set(Preprocessing.model_fields) - {
        "aspect",
        "dtype",
    }
    assert {each.label for each in RECIPES.values()} < set(every)
