"""The shipped fleet, and what a fleet file may say."""

from pathlib import Path

import pytest

from gateway.api import Center, ConfigError, Location
from gateway.config import fleet_file
from gateway.config.fleet_file import load_fleet

REGION = """
[[region]]
id = "north"
city = "Lille"
country = "FR"
lat = 50.63
lon = 3.07
zones = ["a", "b"]
"""
SINGLE = """
[[center]]
id = "paris"
city = "Paris"
country = "FR"
lat = 48.85
lon = 2
"""


@pytest.fixture
def load(tmp_path: Path):
    def written(text: str, sites: str = "all") -> tuple[Center, ...]:
        path = tmp_path / "my.toml"
        path.write_text(text, encoding="utf-8")
        return load_fleet(path, sites)

    return written


def test_the_shipped_fleet_is_30_regions_88_zones_3_core_sites_15_assumed() -> None:
    fleet = load_fleet(None, "all")
    core = [center for center in fleet if center.core]
    assert len({center.region for center in fleet}) == 30
    assert len({center.zone for center in fleet}) == len(fleet) == 88
    assert len({(center.city, center.country) for center in fleet}) == 23
    assert sum(center.zone_assumed for center in fleet) == 15
    assert {center.region for center in core} == {"cn-north-9", "cn-east-4", "cn-southwest-2"}
    assert len(core) == 10
    assert {(center.slots, center.models) for center in core} == {(16, ("*",))}
    rest = {(center.slots, center.models) for center in fleet if not center.core}
    assert rest == {(8, ("blast-furnace", "rail-inspection", "grid-load"))}


def test_shipped_ids_are_the_observed_codes() -> None:
    ids = {center.id for center in load_fleet(None, "all")}
    assert {"cn-north-4g", "cn-south-1e", "ap-southeast-3e", "la-north-2c"} <= ids
    assert not {"cn-north-4d", "cn-south-1d", "la-north-2b"} & ids


def test_core_sites_are_a_part_of_all_in_the_same_order() -> None:
    core = load_fleet(None, "core")
    assert core == tuple(center for center in load_fleet(None, "all") if center.core)


def test_a_region_is_a_center_a_zone(load) -> None:
    one, two = load(REGION)
    assert one == Center("northa", "north", "northa", "Lille", "FR", Location(50.63, 3.07), slots=4)
    assert (two.id, two.zone, two.region) == ("northb", "northb", "north")


def test_a_single_center_is_its_own_region_and_zone(load) -> None:
    (paris,) = load(SINGLE)
    assert paris == Center("paris", "paris", "paris", "Paris", "FR", Location(48.85, 2.0))
    (placed,) = load(SINGLE + 'region = "eu"\nzone = "eu-1"')
    assert (placed.region, placed.zone) == ("eu", "eu-1")


def test_zone_beats_region_beats_defaults(load) -> None:
    text = """
        [defaults]
        models = ["m"]
        slots = 2
        speed_factor = 3.0
    """
    override = '[[region.zone]]\nid = "b"\nslots = 7\nmodels = ["x*", "y"]\n'
    a, b, single = load(text + REGION + "slots = 5\n" + override + SINGLE)
    assert [c.slots for c in (a, b, single)] == [5, 7, 2]
    assert [c.models for c in (a, b, single)] == [("m",), ("x*", "y"), ("m",)]
    assert [c.speed_factor for c in (a, b, single)] == [3.0, 3.0, 3.0]


def test_a_center_with_a_url_emulates_no_network_unless_told(load) -> None:
    url = 'url = "http://10.0.0.7:8000/base"\n'
    assert load(SINGLE)[0].emulate == "gateway"
    (real,) = load(SINGLE + url)
    assert (real.url, real.emulate) == ("http://10.0.0.7:8000/base", "none")
    assert load(SINGLE + url + 'emulate = "center"')[0].emulate == "center"
    zone = '[[region.zone]]\nid = "a"\n' + url
    assert [c.emulate for c in load(REGION + zone)] == ["none", "gateway"]
    assert load('[defaults]\nemulate = "gateway"\n' + SINGLE + url)[0].emulate == "gateway"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no center; expected at least one [[region]] or [[center]]"),
        ("a =", "not valid TOML"),
        ("fleet = 1", "top level: unknown key `fleet`; known keys: center, defaults, region"),
        ("[defaults]\nslot = 1", "defaults: unknown key `slot`; known keys: emulate, models"),
        (REGION + "slot = 1", '[[region]] "north": unknown key `slot`; known keys: city,'),
        (SINGLE + "zones = ['a']", '[[center]] "paris": unknown key `zones`'),
        (REGION + '[[region.zone]]\nid="a"\nlat=1', "zone[0]: unknown key `lat`; known keys: em"),
        ("region = 3", "region: Expected `array`, got `int`"),
        ("[[region]]\ncity = 'X'", "[[region]] number 1: Object missing required field `id`"),
        (REGION + "slots = 0", '"north": slots: Expected `int` >= 1'),
        (REGION + "slots = '4'", "got `str`, found '4'"),
        (REGION + "slots = 1.5", '"north": slots: '),
        (REGION + "speed_factor = 0", "speed_factor: Expected `float`"),
        (REGION + "speed_factor = inf", "found 'inf'"),
        (REGION + "models = []", "models: Expected `array` of length >= 1"),
        (REGION + "emulate = 'no'", "found 'no'; expected one of gateway, center, none"),
        (REGION.replace("50.63", "90.5"), "lat: Expected `float` <= 90.0, found '90.5'"),
        (REGION.replace("3.07", "-181"), "lon: Expected `float` >= -180.0"),
        (REGION.replace("3.07", "nan"), "lon: Expected `float`"),
        (REGION.replace('"FR"', '"France"'), "country: Expected `str` matching"),
        (REGION.replace('"north"', '"no rth"'), "id: Expected `str` matching"),
        (REGION.replace('["a", "b"]', "[]"), "zones: Expected `array` of length >= 1"),
        (REGION.replace('"b"', '"a"'), "zones: 'a' stands twice"),
        (REGION * 2, "center id: 'northa' stands twice"),
        (REGION + SINGLE.replace("paris", "northb"), "center id: 'northb' stands twice"),
        (REGION + '[[region.zone]]\nid="c"', "'c' is not one of zones = ['a', 'b']"),
        (REGION + '[[region.zone]]\nid="a"\n' * 2, "[[region.zone]] id: 'a' stands twice"),
        (SINGLE + 'zone = "northa"' + REGION, "zone 'northa' lies in two regions"),
        (SINGLE + 'emulate = "center"', "center 'paris': emulate = \"center\" needs a url"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(load, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert says in str(caught.value)
    assert "my.toml: " in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.7:8000",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://host:0",
        "http://ho st/",
        "http://host/?a=1",
        "http://[::1",
        "http://user:secret@host",
    ],
)
def test_a_bad_url_is_refused(load, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(SINGLE + f'url = "{url}"')
    assert 'my.toml: [[center]] "paris": url' in str(caught.value)
    assert "expected http://host:port" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match=r'"north": zone "a": url'):
        load(REGION + f'[[region.zone]]\nid = "a"\nurl = "{url}"')


def test_core_of_a_fleet_without_core_sites(load) -> None:
    with pytest.raises(ConfigError, match="no entry has core = true"):
        load(REGION, sites="core")
    assert [c.id for c in load(REGION + SINGLE + "core = true", sites="core")] == ["paris"]


def test_the_number_of_centers_is_bounded(load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_file, "CENTERS_MAX", 2)
    assert len(load(REGION)) == 2
    with pytest.raises(ConfigError, match="3 centers; expected at most 2"):
        load(REGION + SINGLE)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: no such fleet file"):
        load_fleet(tmp_path / "gone.toml", "all")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8"):
        load_fleet(tmp_path / "bytes.toml", "all")
    with pytest.raises(ConfigError, match="no plain file"):
        load_fleet(tmp_path, "all")
