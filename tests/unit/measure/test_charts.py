import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gateway.measure import charts
from gateway.measure.charts import Marker, Series

NASTY = "<script>alert('&\"')</script>"


def parsed(svg):
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return root


def found(root, name):
    return list(root.iter("{http://www.w3.org/2000/svg}" + name))


def words(root):
    return [t.text for t in found(root, "text")]


def lines(series, **more):
    given = {"title": NASTY, "desc": NASTY, "x_label": NASTY, "y_label": "ms"}
    return parsed(charts.lines(series, **{**given, **more}))


def numbers(root):
    """Every coordinate in the picture."""
    for element in root.iter():
        for key in ("x", "y", "cx", "cy", "d", "width", "height", "x1", "y2"):
            for piece in element.get(key, "").replace(",", " ").split():
                yield float(piece.strip("MZ") or 0)


def test_every_picture_is_xml_with_a_title_a_description_and_the_words_as_given():
    root = lines([Series(NASTY, [1, 2], [3, 4])], targets=[Marker(3.5, NASTY)])
    assert root[0].text == root[1].text == NASTY
    assert root.get("role") == "img"
    assert words(root).count(NASTY) == 4
    assert not found(root, "script")


@pytest.mark.parametrize("log", [False, True])
def test_infinite_values_are_marked_at_the_edge_and_missing_ones_left_out(log):
    y = [5.0, math.nan, 8.0, math.inf, 9.0]
    root = lines(
        [Series("p99", [1, 2, 3, 4, 5], y, [4, math.nan, 7, 8, 8], [6, math.nan, 9, math.inf, 10])],
        log_x=log,
        log_y=log,
    )
    assert len(found(root, "circle")) == 3
    hovers = [t.text for t in found(root, "title")]
    assert "p99 at 4: ∞" in hovers
    assert all(math.isfinite(v) for v in numbers(root))


def test_lines_without_anything_are_still_a_picture():
    assert words(lines([]))
    assert words(lines([Series("a", [], [])], log_x=True, log_y=True))
    assert words(lines([Series("a", [1.0], [math.nan])]))


def test_a_line_is_broken_where_nothing_is_known():
    whole = lines([Series("a", range(6), [1, 2, 3, 4, 5, 6])])
    broken = lines([Series("a", range(6), [1, 2, 3, math.nan, 5, 6])])

    def drawn(root):
        return [p for p in found(root, "path") if p.get("fill") == "none"]

    assert (len(drawn(whole)), len(drawn(broken))) == (1, 2)


def test_bars_beyond_the_marker_are_in_another_tone():
    root = parsed(
        charts.histogram(
            [0, 5, 10, 15],
            [3, 0, 2],
            title="t",
            desc="d",
            x_label="ms",
            markers=[Marker(10, "target")],
        )
    )
    tones = [r.get("fill") for r in found(root, "rect")]
    assert len(tones) == 2
    assert tones[0] != tones[1]
    assert "target" in words(root)


def test_edges_and_counts_must_fit():
    with pytest.raises(ValueError, match="one more is needed"):
        charts.histogram([1, 2], [1, 2], title="t", desc="d", x_label="x")


def test_a_bar_is_as_long_as_its_parts_together_and_says_its_sum():
    root = parsed(
        charts.stacked_bars(
            [("near", [1.0, 0.0, 2.0]), ("far", [10.0, 5.0, math.nan])],
            ["network", "queue", "service"],
            title="t",
            desc="d",
            target=Marker(10, "10 ms"),
        )
    )
    bars = [r for r in found(root, "rect") if r.get("rx") is None]
    widths = [float(r.get("width")) for r in bars]
    assert len(bars) == 4
    assert sum(widths[:2]) / sum(widths[2:]) == pytest.approx(3 / 15, rel=0.02)
    assert {"3", "15", "near", "far", "10 ms"} <= set(words(root))


def test_tones_of_parts_are_the_same_in_every_picture():
    def tones(parts):
        row = [("r", [1.0] * len(parts))]
        root = parsed(charts.stacked_bars(row, parts, title="t", desc="d"))
        return [r.get("fill") for r in found(root, "rect") if r.get("rx") is None]

    assert tones(["service"]) == tones(["network", "service"])[1:]


def test_pictures_refer_to_nothing_outside():
    drawn = charts.lines(
        [Series("a", np.arange(100), np.arange(100))], title="t", desc="d", x_label="x", y_label="y"
    )
    assert "href" not in drawn
    assert "url(" not in drawn
    assert drawn.count("http") == 1
