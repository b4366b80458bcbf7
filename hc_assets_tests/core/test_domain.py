"""What declarations say together, and what they may not say."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.core.domain import Catalog, DeclarationError, Domain, Kind, Table, resolve
from hc_assets.domains import CATALOG, DOMAINS, NAMES

TEXTS = Kind("texts", {".txt": "text/plain", ".t": "text/x-t"}, lambda head: head == b"t")


def table(name: str, per: str = "batch", **options: str) -> Table:
    declared_in = "hc_assets.fhir.schemas:TABLES"
    return Table(
        name, declared_in, row="A row.", layer="raw", per=per, kinds=frozenset(), **options
    )


@given(name=st.text(max_size=20))
def test_media_type_knows_suffixes_in_any_case_and_below_compression(name):
    kind = CATALOG.kind("fhir")
    assert kind.media_type(f"{name}.NDJSON.gz") == "application/fhir+ndjson"
    assert kind.media_type(f"{name}.Json") == "application/fhir+json"
    assert kind.is_named_so(f"{name}.json.ZST")


def test_an_unknown_name_has_the_media_type_of_any_bytes():
    assert TEXTS.media_type("a.dcm") == "application/octet-stream"
    assert not TEXTS.is_named_so("a.dcm")


def test_tables_go_to_the_kind_whose_batches_they_are_made_of():
    more = Kind("more", {}, lambda head: False)
    domain = Domain(
        "notes",
        kinds=(TEXTS, more),
        tables=(
            table("notes/lines", batches_of="texts"),
            table("notes/others", batches_of="more"),
            table("notes/words", per="all", batches_of="texts"),
        ),
    )
    catalog = Catalog([domain])
    assert catalog.landings["texts"].batch_tables == ("notes/lines",)
    assert catalog.landings["texts"].publish_job == "publish_texts"
    assert catalog.landings["more"].publish_tables == ()
    assert catalog.landings["more"].publish_job == "", "a kind may make nothing of all batches"
    assert catalog.landing_of("notes/words") == catalog.landings["texts"]
    assert catalog.landing_of("notes/nothing") is None


@pytest.mark.parametrize(
    ("domains", "found"),
    [
        ([Domain("a", (TEXTS,), ()), Domain("b", (TEXTS,), ())], "kind texts is declared twice"),
        ([Domain("a", (TEXTS,), (table("a/x"), table("a/x")))], "table a/x is declared twice"),
        ([Domain("a", (TEXTS,), (table("b/x"),))], "b/x: expected a name that begins with a/"),
        ([Domain("a", (), (table("a/x"),))], "a/x: batches_of must name"),
        ([Domain("a", (), (), reads=("b/x",))], "a reads b/x: no such table"),
        ([Domain("a", (), (), feeds={"b": "x"})], "a feeds b: no such kind"),
    ],
)
def test_declarations_that_contradict_one_another_are_refused(domains, found):
    with pytest.raises(DeclarationError, match=found):
        Catalog(domains)


@pytest.mark.parametrize("reference", ["hc_assets.nowhere:THIS", "hc_assets.domains:NOT_THIS"])
def test_what_is_declared_and_does_not_exist_is_named(reference):
    with pytest.raises(DeclarationError, match=reference):
        resolve(reference)


def test_a_table_that_its_schemas_lack_is_named():
    with pytest.raises(DeclarationError, match=r"TABLES lacks notes/lines"):
        _ = table("notes/lines").contents


def test_all_that_domains_declare_exists():
    for domain in DOMAINS:
        for reference in (domain.jobs, domain.sample, domain.rebuild):
            assert not reference or resolve(reference)
        assert not domain.commands or resolve(f"{domain.commands}:app")
        assert all(each.contents.schema.names for each in domain.tables)


def test_declarations_import_neither_dagster_nor_numpy():
    modules = ", ".join(f"hc_assets.{name}.domain" for name in NAMES)
    heavy = "' '.join({'dagster', 'numpy'} & {*sys.modules})"
    code = f"import sys, {modules}; sys.exit({heavy} or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
