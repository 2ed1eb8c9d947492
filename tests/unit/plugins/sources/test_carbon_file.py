import pytest
from gateway_plugins.sources.carbon_file import CarbonFile

from gateway.api import ConfigError

CENTERS = ("cn-north-1a", "cn-north-1b", "cn-north-11a", "cn-east-3a")


def read(folder, text):
    (folder / "carbon.toml").write_text(text, encoding="utf-8")
    return CarbonFile("carbon.toml").read(CENTERS, folder)["g_per_kwh"]


def test_a_centers_line_wins_and_a_missing_one_is_the_dirtiest(tmp_path):
    grams = read(tmp_path, '[g_per_kwh]\n"cn-north-1a" = 50\n"cn-north-1" = 610\n"cn-east-3" = 0')
    assert grams.tolist() == [50.0, 610.0, 610.0, 0.0], "cn-north-11 has no line"
    assert grams.dtype.name == "float32"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[g_per_kwh]\n"cn-south-9" = 1', "called 'cn-south-9'"),
        ('[g_per_kwh]\n"cn-east-3a" = -1', "cn-east-3a = -1; expected a number of g per kWh >= 0"),
        ('[g_per_kwh]\n"cn-east-3a" = inf', ">= 0"),
        ('[g_per_kwh]\n"cn-east-3a" = "much"', "'much'; expected a number of g per kWh"),
        ('[g_per_kwh]\n"cn-east-3a" = true', "True; expected a number"),
        ('[grams]\n"cn-east-3a" = 1', r"\['grams'\]; expected lines in \[g_per_kwh\] alone"),
        ("", r"found \[\]; expected lines"),
        ("[g_per_kwh]", "expected lines"),
        ("[g_per_kwh", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_whole(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"carbon\.toml: No such file"):
        CarbonFile("carbon.toml").read(CENTERS, tmp_path)


def test_a_period_is_positive():
    with pytest.raises(ValueError, match="period_s"):
        CarbonFile("x.toml", period_s=0.0)
