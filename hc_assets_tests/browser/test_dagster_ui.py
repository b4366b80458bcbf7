"""What an operator sees in Dagster's UI, in a real browser on a real server."""

import re

import pytest

from hc_assets.definitions import defs


def test_the_asset_graph_shows_all_groups(dagster_ui, open_page, keep):
    page = open_page(f"{dagster_ui}/asset-groups", width=1500, height=2200)
    groups = {spec.group_name for spec in defs.resolve_all_asset_specs()}

    def all_groups_are_shown() -> None:
        for group in groups:
            labels = page.get_by_text(group, exact=True).filter(visible=True)
            labels.nth(1).wait_for()  # beside the graph, and in it

    all_groups_are_shown()
    page.keyboard.press("Alt+e")  # opens every group
    page.wait_for_url(re.compile("expanded="), wait_until="commit")
    page.reload()  # fits the open groups into the window; only what is in it is drawn
    all_groups_are_shown()
    for asset in ("raw_bundles", "ndjson_exports", "dicom_index", "quality_metrics"):
        page.get_by_text(asset, exact=True).filter(visible=True).first.wait_for()
    keep(page, "asset-graph")


def test_an_asset_shows_what_it_is(dagster_ui, open_page, keep):
    page = open_page(f"{dagster_ui}/assets/imaging/series", height=1100)
    page.get_by_text("One row per series, over all batches").wait_for()
    for fact in ("data-engineering", "Parquet", "layer: core", "imaging.series", "publish_dicom"):
        page.get_by_text(fact, exact=True).first.wait_for()
    page.get_by_placeholder("Filter columns").fill("slice_thickness")
    row = page.get_by_role("row").filter(has_text="slice_thickness")
    row.get_by_text("unit: mm").wait_for()
    row.get_by_text("(from imaging/dicom_index)").wait_for()
    page.get_by_placeholder("Filter columns").fill("")
    page.get_by_text("check_report").wait_for()
    page.get_by_text("checks.html").first.wait_for()
    keep(page, "asset")


def test_a_materialization_started_in_the_ui_finishes(dagster_ui, open_page, demo, keep):
    page = open_page(f"{dagster_ui}/assets/fhir/raw_bundles")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Missing", exact=True).click()
    page.get_by_role("button", name="Launch 1 run").click()
    page.get_by_text("Launched run").wait_for()
    page.get_by_text("View", exact=True).click()
    page.wait_for_url(re.compile("/runs/"), wait_until="commit")
    page.get_by_text("Success", exact=True).first.wait_for(timeout=180_000)
    page.get_by_text(demo.waiting).first.wait_for()
    keep(page, "run")


def test_checks_show_passed_and_failed_with_plots_of_their_values(dagster_ui, open_page, keep):
    checks = f"{dagster_ui}/assets/fhir/validated_resources?view=checks"
    page = open_page(f"{checks}&checkDetail=validation_rate_at_least_threshold", height=1300)
    page.get_by_text("entries are valid").first.wait_for()
    page.get_by_text("Failed", exact=True).first.wait_for()
    page.get_by_text("Succeeded", exact=True).first.wait_for()
    page.get_by_text("Plots", exact=True).wait_for()
    for plotted in ("threshold", "value"):
        page.locator("canvas").first.wait_for()
        assert page.get_by_text(plotted, exact=True).count() >= 2  # in the table, over its plot
    keep(page, "check")


@pytest.mark.parametrize("asset", ["quality_metrics", "volumes"])
def test_a_materialization_shows_row_counts_and_pictures(dagster_ui, open_page, keep, asset):
    page = open_page(f"{dagster_ui}/assets/imaging/{asset}?view=events")
    row = page.get_by_role("row").filter(has_text="dagster/row_count")
    assert int(row.locator("td").nth(1).inner_text()) > 0
    page.get_by_text("[Show Markdown]").last.click()
    picture = page.locator("img").first
    picture.wait_for()
    width, height = picture.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert min(width, height) > 32
    keep(page, f"picture-{asset}")
