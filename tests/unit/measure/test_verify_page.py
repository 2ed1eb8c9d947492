"""The HTML page: the answer first, everything behind it, nothing from outside."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.measure.verify import VerifyResult
from gateway.measure.verify_page import nearest_words, verify_page

MakeResult = Callable[..., VerifyResult]


def words_of(page: str) -> str:
    body = page.partition("</head>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", body)))


def test_the_verdict_comes_first_then_its_sentence(make_result: MakeResult) -> None:
    page = verify_page(make_result())
    said = words_of(page).strip()
    assert said.startswith("Pass: 43 cities, 122.0 million people, within 10 ms Pass: ")
    assert said.index("PASS") < said.index("Who is within reach")


def test_everything_a_reader_asks_for_is_there(make_result: MakeResult) -> None:
    said = words_of(verify_page(make_result()))
    for words in (
        "straight fibre would allow",
        "serving in no time would allow",
        "every path typical (factor 1)",
        "over 100 seeds",
        "p99.9",
        "one way",
        "round trip (in force)",
        "reaches",
        "The knife edge",
        "a bare timer&#x27;s p99 lateness",
        "out: physics",
        "out: path",
        "nearway verify --sites core --rate 100",
        "GeoNames",
    ):
        assert words in said, words


def test_every_city_has_a_row(make_result: MakeResult) -> None:
    result = make_result()
    page = verify_page(result)
    for city in result.verdict.cities:
        name = city.city.name.replace("'", "&#x27;")
        assert f'<th scope="row">{name}</th>' in page


def test_a_failure_names_its_culprit(make_result: MakeResult) -> None:
    said = words_of(verify_page(make_result(gateway_ms=2.2)))
    assert "FAIL" in said
    assert re.search(r"Of the \d+ late requests: gateway took 1\.\d ms more", said)
    assert "late: gateway" in said


def test_a_plugin_that_was_put_out_is_reported(make_result: MakeResult) -> None:
    page = verify_page(make_result(plugins=("scorer network: 3 overruns",)))
    assert "The policy was not whole all the time: scorer network: 3 overruns." in page
    assert "not whole" not in verify_page(make_result())


def test_assumed_zones_are_counted(make_result: MakeResult) -> None:
    result = make_result()
    first = replace(result.centers[0], zone_assumed=True)
    page = verify_page(replace(result, centers=(first, *result.centers[1:])))
    assert f"1 of the {len(result.centers)} centers stand in assumed zones" in page
    assert "assumed zones" not in verify_page(result)


def test_the_page_needs_nothing_from_outside(make_result: MakeResult) -> None:
    page = verify_page(make_result())
    assert not re.findall(r'(?:src|href)="', page)
    assert "<script" not in page
    assert set(re.findall(r"https?://[^\"' <]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_names_are_escaped(make_result: MakeResult) -> None:
    result = make_result()
    first = result.verdict.cities[0]
    evil = replace(first, city=replace(first.city, name="<script>alert(1)</script>"))
    cities = (evil, *result.verdict.cities[1:])
    page = verify_page(replace(result, verdict=replace(result.verdict, cities=cities)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_custom_area_says_so(make_result: MakeResult) -> None:
    result = make_result()
    areas = (replace(result.areas[0], custom=True), *result.areas[1:])
    assert "custom area" in words_of(verify_page(replace(result, areas=areas)))


@pytest.mark.parametrize(("unjudged", "said"), [(0, False), (4, True)])
def test_the_nearest_set_in_words(make_result: MakeResult, unjudged: int, said: bool) -> None:
    nearest = replace(make_result().verdict.nearest, unjudged=unjudged, ended_by="")
    words = nearest_words(nearest, 10.0)
    assert ("had too few requests" in words) is said
    assert "ends the set" not in words
