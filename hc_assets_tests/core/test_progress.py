"""Long steps say how far they are: to whoever listens, and no more often than asked for."""

from hc_assets.core.progress import Report, heard_by, reported, short_hash


def heard_of(items, **options) -> tuple[list, list[Report]]:
    reports: list[Report] = []
    with heard_by(reports.append):
        given = list(reported(items, "imaging/series", "series", **options))
    return given, reports


def test_each_piece_is_reported_with_how_many_there_are():
    given, reports = heard_of(["a", "b"], total=2, name=str.upper, seconds=0)
    assert given == ["a", "b"]
    assert [(each.done, each.total, each.last) for each in reports] == [
        (0, 2, ""),
        (1, 2, "A"),
        (2, 2, "B"),
        (2, 2, "B"),
    ]
    assert [each.is_last for each in reports] == [False, False, False, True]


def test_quick_pieces_are_reported_once_all_are_done():
    _, reports = heard_of(range(1000), seconds=3600)
    assert [(each.done, each.is_last) for each in reports] == [(1000, True)]


def test_brief_steps_and_empty_ones_are_silent():
    assert heard_of(range(3), total=3, seconds=3600, is_brief=True)[1] == []
    assert heard_of([])[1] == []


def test_a_listener_of_the_step_hears_beside_the_others_and_nobody_after_the_block():
    outside, own = [], []
    with heard_by(outside.append):
        list(reported([1], "step", "files", listener=own.append))
    list(reported([1], "step", "files"))
    assert outside == own
    assert len(own) == 1


def test_a_line_has_counts_and_a_hash():
    report = Report("imaging/series", 3, 12, "series", short_hash("1.2.3"), 41.2, is_last=False)
    assert str(report) == f"imaging/series: 3 of 12 series, 41 s (last: {short_hash('1.2.3')})"
    assert "1.2.3" not in str(report)
    assert len(short_hash("1.2.3")) == 12
