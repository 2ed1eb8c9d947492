"""The backdrop is where it should be."""

from gateway.measure.coastline import EAST, NORTH, SOUTH, WEST, bay, continent, islands


def test_every_line_stays_in_the_frame_but_for_rounding() -> None:
    for line in (continent(), bay(), *islands()):
        assert line.shape[1] == 2
        assert (line[:, 0] >= WEST - 0.1).all()
        assert (line[:, 0] <= EAST + 0.1).all()
        assert (line[:, 1] >= SOUTH - 0.1).all()
        assert (line[:, 1] <= NORTH + 0.1).all()


def contains(lon: float, lat: float) -> bool:
    """Is the point on the continent? Even-odd rule."""
    inside = False
    points = continent().tolist()
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
        if (y1 > lat) != (y2 > lat) and lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def test_wuhan_is_on_land_and_the_east_china_sea_is_not() -> None:
    assert contains(114.3, 30.6)
    assert not contains(125.0, 30.0)
