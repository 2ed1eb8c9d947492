"""The verdict's scale and the map: well-formed, escaped, and showing what they should."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from gateway.api import Location
from gateway.measure.intervals import Interval
from gateway.measure.svg import Svg
from gateway.measure.verify import VerifyResult
from gateway.measure.verify_figures import banner, china

MakeResult = Callable[..., VerifyResult]


def texts(picture: Svg) -> list[str]:
    root = ElementTree.fromstring(picture)
    return [node.text or "" for node in root.iter() if node.tag.endswith("}text")]


def the_map(result: VerifyResult, **changed: Any) -> Svg:
    options: dict[str, Any] = {
        "knife_edge": result.areas[0].knife_edge,
        "reach_km": 300.0,
        "title": "Cities",
        "desc": "Where",
        **changed,
    }
    centers = options.pop("centers", result.centers)
    return china(result.verdict.cities, centers, **options)


def test_the_banner_says_ruling_share_interval_and_objective(make_result: MakeResult) -> None:
    verdict = make_result().verdict
    said = texts(banner(verdict))
    assert "PASS" in said
    assert "objective 99 %" in said
    assert any(words.startswith("95 % interval") for words in said)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, float("nan")])
def test_the_banner_can_be_drawn_for_every_share(make_result: MakeResult, value: float) -> None:
    verdict = replace(make_result().verdict, share=Interval(value, value, value))
    picture = banner(verdict)
    positions = re.findall(r'(?:x|cx|x1)="(-?[\d.]+)"', picture)
    assert all(-1 <= float(x) <= 721 for x in positions)
    assert "nan" not in picture


def test_the_map_names_the_centers_and_the_largest_cities(make_result: MakeResult) -> None:
    said = texts(the_map(make_result()))
    assert {"Ulanqab", "Wuhu", "Shanghai", "Beijing"} <= set(said)


def test_every_city_is_on_the_map_with_its_words(make_result: MakeResult) -> None:
    result = make_result()
    root = ElementTree.fromstring(the_map(result))
    hovers = [node.text or "" for node in root.iter() if node.tag.endswith("}title")]
    for city in result.verdict.cities:
        assert any(words.startswith(f"{city.city.name}: ") for words in hovers)
    assert any("(physics)" in words for words in hovers)


def test_the_knife_edge_is_ringed(make_result: MakeResult) -> None:
    result = make_result()
    rings = the_map(result).count("stroke-dasharray")
    assert rings == len(result.areas[0].knife_edge) + 1  # one in the legend
    assert the_map(result, knife_edge=()).count("stroke-dasharray") == 1


def test_the_reach_grows_with_its_radius(make_result: MakeResult) -> None:
    def widths(km: float) -> list[float]:
        found = re.findall(r'<ellipse[^>]* rx="([\d.]+)"', the_map(make_result(), reach_km=km))
        return [float(width) for width in found]

    assert np.allclose(np.array(widths(400.0)), 2 * np.array(widths(200.0)), atol=0.2)


def test_centers_outside_the_frame_are_left_out(make_result: MakeResult) -> None:
    result = make_result()
    paris = replace(result.centers[0], city="Paris", location=Location(48.8, 2.3))
    assert "Paris" not in the_map(result, centers=(*result.centers, paris))


def test_with_many_spots_nothing_is_shaded(make_result: MakeResult) -> None:
    result = make_result()
    many = [
        replace(result.centers[0], city=f"City {i}", location=Location(30.0 + i, 110.0))
        for i in range(8)
    ]
    assert "<ellipse" not in the_map(result, centers=many)
