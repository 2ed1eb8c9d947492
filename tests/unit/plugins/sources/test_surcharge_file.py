import pytest
from gateway_plugins.sources.surcharge_file import SurchargeFile

from gateway.api import ConfigError

CENTERS = ("cn-north-1a", "cn-north-1b", "cn-north-11a", "cn-east-3a")


def read(folder, text):
    (folder / "surcharge.toml").write_text(text, encoding="utf-8")
    return SurchargeFile("surcharge.toml").read(CENTERS, folder)["ms"]


def test_a_centers_line_wins_over_its_regions(tmp_path):
    ms = read(tmp_path, '[surcharge_ms]\n"cn-north-1a" = 50\n"cn-north-1" = 2.5\n')
    assert ms.tolist() == [50.0, 2.5, 0.0, 0.0], "cn-north-11 is another region"
    assert ms.dtype.name == "float32"


@pytest.mark.parametrize("text", ["", "[surcharge_ms]\n"])
def test_an_empty_file_charges_nothing(tmp_path, text):
    assert read(tmp_path, text).tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[surcharge_ms]\n"cn-south-9" = 1\n"x" = 2', "called 'x', 'cn-south-9'"),
        ('[surcharge_ms]\n"cn-east-3a" = -1', "cn-east-3a = -1; expected a number of ms >= 0"),
        ('[surcharge_ms]\n"cn-east-3a" = inf', ">= 0"),
        ('[surcharge_ms]\n"cn-east-3a" = "much"', "'much'; expected a number of ms"),
        ('[surcharge_ms]\n"cn-east-3a" = true', "True; expected a number of ms"),
        ('[surcharges]\n"cn-east-3a" = 1', r"\['surcharges'\]; expected one table"),
        ("[surcharge_ms", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_whole(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"surcharge\.toml: No such file"):
        SurchargeFile("surcharge.toml").read(CENTERS, tmp_path)


def test_a_period_is_positive():
    with pytest.raises(ValueError, match="period_s"):
        SurchargeFile("x.toml", period_s=0.0)
