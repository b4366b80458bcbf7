import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.core.source_names import (
    SourceNameError,
    base_of,
    folder_of,
    named_source,
    source_of_folder,
)

BASE = "https://north.example/fhir"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="?#"), min_size=1, max_size=90)


@pytest.mark.parametrize(
    "url",
    [
        "https://north.example/fhir",
        "https://north.example/fhir/",
        "https://north.example//fhir//",
        "http://north.example/fhir",
        "HTTPS://North.Example/fhir",
        "https://north.example:443/fhir",
        "http://north.example:80/fhir",
        "https://north.example:/fhir",
        "https://north.example./fhir",
        "https://user:secret@north.example/fhir",
        "https://north.example/x/../%66hir/.",
    ],
)
def test_a_base_is_written_in_one_way(url):
    assert base_of(url) == BASE


@pytest.mark.parametrize(
    "url",
    [
        "https://north.example/FHIR",
        "https://north.example/fhir/r4",
        "https://north.example",
        "https://north.example:8443/fhir",
        "https://south.example/fhir",
        "https://north.example/fhir%2F",
    ],
)
def test_what_else_differs_is_another_base(url):
    assert base_of(url) not in (BASE, None)


@pytest.mark.parametrize(
    "text",
    ["", "north", "urn:uuid:1", "https://", "https:///fhir", "ftp://a/b", "https://a/b?c", "a b"]
    + [f"https://a{char}b/fhir" for char in '"\\<>^`{|}\x00\x1f\x7f '],
)
def test_what_is_no_address_of_a_server_has_no_base(text):
    assert base_of(text) is None


def test_a_base_is_its_own_base_and_ports_and_hosts_of_any_kind_are_read():
    for url in (
        "https://[2001:DB8::1]:8080/fhir",
        "http://localhost:8080/fhir",
        "https://a:99999/",
    ):
        base = base_of(url)
        assert base is None or base_of(base) == base
    assert base_of("https://[2001:DB8::1]:8080/fhir") == "https://[2001:db8::1]:8080/fhir"
    assert base_of("https://a:99999/") is None


@pytest.mark.parametrize("name", ["", "@north", "a b", "../x", "x" * 65, "-a", "urn:a", "é"])
def test_a_name_is_of_letters_digits_and_little_else(name):
    with pytest.raises(SourceNameError):
        named_source(name)
    assert named_source("St.Mary_2-A") == "St.Mary_2-A"
    assert named_source("http://North.example:80/fhir/") == BASE


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True))
def test_the_folder_of_a_name_stands_for_it(name):
    assert source_of_folder(folder_of(name)) == name


@given(st.lists(TEXTS.map("https://h/{}".format), min_size=1, max_size=4))
def test_folders_of_bases_say_nothing_of_them_and_differ(urls):
    bases = {base for url in urls if (base := base_of(url)) is not None}
    folders = {folder_of(base) for base in bases}
    assert len(folders) == len(bases)
    assert all(re.fullmatch(r"@server-[0-9a-f]{32}", folder) for folder in folders)


@pytest.mark.parametrize("folder", ["@", "@a b", "@~zz", "@..", "@~2E~2E"])
def test_a_folder_of_another_name_stands_for_none(folder):
    with pytest.raises(SourceNameError):
        source_of_folder(folder)
