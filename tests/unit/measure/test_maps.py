import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gateway.measure.maps import Point, scatter_map

SVG = "{http://www.w3.org/2000/svg}"


def drawn(points, **more):
    return ET.fromstring(scatter_map(points, title="Map", desc="d", **more))


def circles(root):
    return [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(SVG + "circle")]


def labels(root):
    return [t.text for t in root.iter(SVG + "text")]


def test_north_is_up_and_east_is_right():
    root = drawn([Point(100, 30, radius=5), Point(110, 40, radius=4)])
    (x1, y1), (x2, y2) = circles(root)
    assert x1 < x2
    assert y1 > y2


def test_a_kilometre_is_as_long_both_ways():
    a, b, c = circles(drawn([Point(100, 30), Point(101, 30), Point(100, 31)]))
    across, up = b[0] - a[0], a[1] - c[1]
    assert across / up == pytest.approx(math.cos(math.radians(30.5)), rel=0.02)


def test_labels_do_not_cover_one_another_and_the_first_come_first():
    crowd = [Point(100 + i * 0.01, 30, f"city {i}") for i in range(30)]
    root = drawn([Point(90, 20), Point(110, 40), *crowd])
    shown = [t for t in labels(root) if t.startswith("city")]
    assert "city 0" in shown
    assert len(shown) < 10
    assert len({t.text for t in root.iter(SVG + "title")} & {p.label for p in crowd}) == 30


def test_groups_differ_in_shape_and_are_named():
    root = drawn([Point(1, 1, group=0), Point(2, 2, group=1)], groups=("in", "out"))
    assert len(circles(root)) == 2
    assert {"in", "out", "Map"} <= set(labels(root))


def test_outlines_are_part_of_the_picture_and_of_its_extent():
    outline = np.array([[80.0, 20.0], [120.0, 20.0], [120.0, 50.0]])
    root = drawn([Point(100, 30)], outlines=[outline])
    assert any(p.get("class") == "grid" for p in root.iter(SVG + "path"))
    (x, _), *_ = circles(root)
    assert 300 < x < 420


def test_no_point_or_a_nasty_one_is_still_xml():
    assert labels(drawn([])) == ["Map"]
    root = drawn([Point(0, 0, "<&>", note='"<script>')])
    assert '"<script>' in [t.text for t in root.iter(SVG + "title")]
