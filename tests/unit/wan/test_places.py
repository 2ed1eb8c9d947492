"""The shipped cities, and every way of writing where a request comes from."""

import pytest

from gateway.api import Center, ConfigError, InvalidRequest, Location, Place
from gateway.wan.great_circle import distances_km
from gateway.wan.places import (
    FOUND_MAX,
    PLACES_MAX,
    Gazetteer,
    is_in_tier,
    is_mainland,
    load_cities,
)

CITIES = load_cities()


def center(name: str, city: str, country: str, lat: float, lon: float) -> Center:
    return Center(f"{name}a", name, f"{name}a", city, country, Location(lat, lon))


WUHU = center("east-4", "Wuhu", "CN", 31.3374, 118.3732)
GUIYANG = center("southwest-2", "Guiyang", "CN", 26.4, 106.52)  # 28 km from the city itself
LYON = center("lyon-1", "Lyon", "FR", 45.76, 4.84)


@pytest.fixture
def gazetteer() -> Gazetteer:
    return Gazetteer(CITIES, (WUHU, GUIYANG, LYON))


def test_207_cities_147_in_greater_china_142_on_the_mainland(gazetteer: Gazetteer) -> None:
    assert len(CITIES) == 207
    assert [len(gazetteer.cities_in(tier)) for tier in ("china", "mainland", "world")] == [
        147,
        142,
        60,
    ]
    assert all(city.population > 0 for city in CITIES)


def test_no_two_shipped_cities_share_a_name() -> None:
    assert len({city.name for city in CITIES}) == len(CITIES)


@pytest.mark.parametrize("name", ["Hong Kong", "Taipei"])
def test_beyond_the_border_is_greater_china_but_not_mainland(name: str) -> None:
    place = next(city for city in CITIES if city.name == name)
    assert is_in_tier(place, "china")
    assert not is_in_tier(place, "mainland")
    assert not is_mainland(place)


def test_a_center_in_a_known_city_adds_no_place(gazetteer: Gazetteer) -> None:
    assert [place.name for place in gazetteer.places[207:]] == ["Lyon"]
    assert gazetteer.places[:207] == CITIES
    assert len(gazetteer.cities_in("world")) == 60


def test_a_center_within_5_km_of_a_city_stands_in_it() -> None:
    suburb = center("s", "Montreuil", "FR", 48.86, 2.38)
    far = center("f", "Versailles", "FR", 48.80, 2.13)
    gazetteer = Gazetteer(CITIES, (suburb, far))
    assert [place.name for place in gazetteer.places[207:]] == ["Versailles"]
    assert gazetteer.places[gazetteer.find("Montreuil")].name == "Paris"


def test_two_centers_of_a_new_city_share_one_place() -> None:
    other = center("lyon-2", "Lyon", "FR", 45.9, 4.9)
    assert len(Gazetteer(CITIES, (LYON, other)).places) == 208


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Shanghai", "Shanghai"),
        ("shanghai", "Shanghai"),
        ("SHANGHAI , cn", "Shanghai"),
        ("Xian", "Xi'an"),
        ("São  Paulo", "Sao Paulo"),
        ("east-4", "Wuhu"),
        ("east-4a", "Wuhu"),
        ("southwest-2", "Guiyang"),
        ("LYON, FR", "Lyon"),
        ("lyon-1a", "Lyon"),
        ("31.3,121.4", "Shanghai"),
        (" -23.5 , -46.6 ", "Sao Paulo"),
        ("Suzhou", "Suzhou"),
        ("Suzhou (Anhui)", "Suzhou (Anhui)"),
    ],
)
def test_accepted_ways_of_writing(gazetteer: Gazetteer, text: str, name: str) -> None:
    assert gazetteer.places[gazetteer.find(text)].name == name
    assert gazetteer.find(text) == gazetteer.find(text)


def test_of_two_cities_with_one_name_the_country_decides() -> None:
    paris = Place("Paris", "US", Location(33.66, -95.56), 25_000)
    gazetteer = Gazetteer((*CITIES, paris), ())
    assert gazetteer.places[gazetteer.find("Paris")].country == "FR"
    assert gazetteer.places[gazetteer.find("paris,us")].country == "US"


def test_a_point_snaps_to_the_nearest_place(gazetteer: Gazetteer) -> None:
    point = Location(12.3, 45.6)
    km = distances_km(point, [place.location for place in gazetteer.places])
    assert gazetteer.find("12.3,45.6") == gazetteer.nearest(point) == int(km.argmin())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("91,0", "latitude 91; expected -90..90"),
        ("0,-180.5", "longitude -180.5; expected -180..180"),
        ("nan,1", "latitude nan"),
        ("1,inf", "longitude inf"),
        ("Shangai", "Did you mean 'Shanghai'"),
        ("Shangai, CN", "Did you mean 'Shanghai'"),
        ("", "origin '' is not a known place"),
        ("1,2,3", "not a known place"),
        ("qqqqqq", '"lat,lon"'),
        ("x" * 101, "has 101 characters; expected at most 100"),
    ],
)
def test_a_bad_origin_says_what_would_be_right(gazetteer: Gazetteer, text: str, says: str) -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequest) as caught:
            gazetteer.find(text)
        assert says in str(caught.value)
        assert text[:40] in str(caught.value)


def test_nothing_close_nothing_suggested(gazetteer: Gazetteer) -> None:
    with pytest.raises(InvalidRequest) as caught:
        gazetteer.find("qqqqqq")
    assert "Did you mean" not in str(caught.value)


def test_what_is_remembered_of_origins_is_bounded(gazetteer: Gazetteer) -> None:
    for number in range(FOUND_MAX + 10):
        gazetteer.find(f"31.{number},121")
        with pytest.raises(InvalidRequest):
            gazetteer.find(f"{number},{number},0") if number < 600 else gazetteer.find("no,no")
    assert len(gazetteer._found) <= FOUND_MAX
    assert len(gazetteer._refused) <= 256


def test_at_most_512_places() -> None:
    def fleet(n: int) -> list[Center]:
        return [center(f"r{i}", f"City {i}", "AQ", -70 - i / 20, i) for i in range(n)]

    room = PLACES_MAX - len(CITIES)
    assert len(Gazetteer(CITIES, fleet(room)).places) == PLACES_MAX
    with pytest.raises(ConfigError, match="expected at most 512"):
        Gazetteer(CITIES, fleet(room + 1))
