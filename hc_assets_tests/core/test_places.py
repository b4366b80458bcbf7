import pickle

import pytest

from hc_assets.core.places import at, places_of, present_place
from hc_assets.core.redaction import redacted


def failed() -> BaseException:
    with pytest.raises(ValueError, match="Doe") as caught, at("batch b1"), at("file 0a1b"):
        raise ValueError("Doe")
    return caught.value


def test_an_error_says_where_it_was_in_a_record_too() -> None:
    places = ["hc_assets was at file 0a1b", "hc_assets was at batch b1"]

    assert places_of(failed()) == places
    assert places_of(redacted(pickle.loads(pickle.dumps(failed())))) == places


def test_notes_of_libraries_are_left_out_of_a_record() -> None:
    error = failed()
    error.add_note("Doe")

    assert "Doe" not in redacted(error).__notes__


def test_the_present_place_is_known_while_it_lasts() -> None:
    with at("batch b1"), at("file 0a1b"):
        assert present_place() == "batch b1, file 0a1b"
    assert present_place() == ""
