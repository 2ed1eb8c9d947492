"""What PATH may be, and what is said when it is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.testing.checked import check_package
from gateway.testing.package import Package, find_package

CODE = """
from dataclasses import dataclass
from typing import ClassVar
import numpy as np

@dataclass(frozen=True)
class {name}:
    ms_each: float
    varies_by: ClassVar = ()
    reads: ClassVar = ()
    live: ClassVar = False
    refresh_ms: ClassVar = 1.0

    def ms(self, query, centers, now):
        return np.full(len(centers), self.ms_each, np.float32)
"""


def package_at(folder: Path, module: str, *, policy: str = "", source: str = "") -> Package:
    (folder / source).mkdir(parents=True, exist_ok=True)
    (folder / source / f"{module}.py").write_text(CODE.format(name="Flat"))
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "acme"\n[project.entry-points."gateway.scorers"]\n'
        f'flat = "{module}:Flat"\n'
    )
    if policy:
        (folder / "policy.toml").write_text(policy)
    return find_package(str(folder))


def test_a_folder_with_its_code_in_src_or_beside(tmp_path: Path) -> None:
    for place, source in enumerate(("", "src")):
        folder = tmp_path / f"p{place}"
        package = package_at(folder, f"acme_layout_{place}", source=source)
        [offer] = package.offers
        assert (offer.kind, offer.name) == ("scorers", "flat")
        assert offer.plugin_class().__name__ == "Flat"
        assert "acme in" in offer.distribution
        assert package.registry.get("scorers", "flat", "here") is offer.plugin_class()
        assert package.registry.get("scorers", "queue", "here")


def test_parameters_come_from_its_policy_and_from_the_command(tmp_path: Path) -> None:
    policy = '[policies.p]\nscorers = ["network", { name = "flat", ms_each = 2.0 }]\n'
    package = package_at(tmp_path, "acme_parameters", policy=policy)
    assert package.parameters(package.offers[0]) == {"ms_each": 2.0}
    [checked] = check_package(package, {})
    assert checked.conforms
    assert [cost.centers for cost in checked.costs] == [88, 1024]
    [checked] = check_package(package, {"ms_each": -1.0})
    assert not checked.conforms
    assert checked.costs == ()


def test_a_missing_parameter_is_named(tmp_path: Path) -> None:
    package = package_at(tmp_path, "acme_missing")
    with pytest.raises(ConfigError, match="scorer flat: parameter 'ms_each' is missing"):
        check_package(package, {})


def test_which_of_several_policies_must_be_said(tmp_path: Path) -> None:
    two = '[policies.a]\npicker = "least"\n[policies.b]\npicker = "two_choices"\n'
    package = package_at(tmp_path, "acme_two", policy=two)
    with pytest.raises(ConfigError, match=r"policies a, b; expected one, or which in \[routing\]"):
        package.policy()
    package = package_at(tmp_path, "acme_two", policy=f'[routing]\npolicy = "b"\n{two}')
    name, policy = package.policy() or ("", None)
    assert (name, policy and policy.picker) == ("b", "two_choices")


def test_a_class_by_module_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_module.py").write_text(CODE.format(name="FlatFee"))
    monkeypatch.chdir(tmp_path)
    package = find_package("acme_module:FlatFee")
    assert [(o.kind, o.name) for o in package.offers] == [("scorers", "flat_fee")]
    assert package.policy() is None
    [checked] = check_package(package, {"ms_each": 1.0})
    assert checked.conforms
    with pytest.raises(ConfigError, match="cannot be imported from"):
        find_package("acme_module:Nobody")
    with pytest.raises(ConfigError, match="cannot be imported from"):
        find_package("no_such_module:Nobody")


def test_an_installed_plugin_by_its_name() -> None:
    package = find_package("queue")
    [checked] = check_package(package, {})
    assert (checked.kind, checked.conforms) == ("scorer", True)


def test_what_is_nothing_of_these(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no installed plugin is called so.*module:Class"):
        find_package("nosuch")
    with pytest.raises(ConfigError, match=r"no pyproject\.toml there"):
        find_package(str(tmp_path))
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    with pytest.raises(ConfigError, match=r"no plugin; expected an entry point such as"):
        find_package(str(tmp_path))
    (tmp_path / "pyproject.toml").write_text("project = [\n")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        find_package(str(tmp_path))


def test_one_that_cannot_be_imported_breaks_the_contract(tmp_path: Path) -> None:
    package_at(tmp_path, "acme_torn")
    (tmp_path / "acme_torn.py").write_text("import a_module_that_is_not_there\n")
    [checked] = check_package(find_package(str(tmp_path)), {})
    assert [f.check for f in checked.findings if not f.passed] == ["contract"]
    assert "a_module_that_is_not_there" in checked.findings[0].found
