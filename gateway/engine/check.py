"""Is a folder a model repository that can be served? Every finding says how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.api import ConfigError
from gateway.engine.loaded_model import LoadedModel, load_model
from gateway.engine.model_config import CONFIG_FILE, read_model_config, served_versions
from gateway.engine.repository import NAME, VERSION, ModelRepository, version_names
from gateway.engine.triton_pbtxt import PBTXT_FILE, read_pbtxt
from gateway.engine.warm_up import EXAMPLE_FILE, read_example

TENSOR_ELEMENTS_MAX = 4_000_000
"""The default of ``server.tensor_elements_max``."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that keeps a model from being served, or from being served well.

    ``warning``: it is served all the same.
    """

    where: Path
    what: str
    warning: bool = False

    def __str__(self) -> str:
        named = self.what.startswith(str(self.where.parent))
        return self.what if named else f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Checked:
    """A model's folder: its versions that open, lowest number first, and what is wrong."""

    name: str
    models: tuple[LoadedModel, ...]
    findings: tuple[Finding, ...]


def check_repository(
    root: Path, *, tensor_elements_max: int = TENSOR_ELEMENTS_MAX
) -> list[Finding]:
    """What is wrong below ``root``; empty when all is well."""
    checked = check_models(root, tensor_elements_max=tensor_elements_max)
    return [finding for one in checked for finding in one.findings]


def check_models(
    root: Path, *, tensor_elements_max: int = TENSOR_ELEMENTS_MAX
) -> Iterator[Checked]:
    """Look at every model below ``root`` and open every version that is served."""
    if not root.is_dir():
        wrong = Finding(root, "no such folder; expected one that holds NAME/1/model.onnx")
        yield Checked("", (), (wrong,))
        return
    folders = [f for f in sorted(root.iterdir()) if f.is_dir() and f.name[0] not in "._"]
    if not folders:
        wrong = Finding(root, "no model; expected NAME/1/model.onnx (Triton's layout)")
        yield Checked("", (), (wrong,))
    repository = ModelRepository([root], tensor_elements_max=tensor_elements_max)
    repository.scan()
    for folder in folders:
        yield _check_folder(folder, repository, tensor_elements_max=tensor_elements_max)


def _check_folder(
    folder: Path, repository: ModelRepository, *, tensor_elements_max: int
) -> Checked:
    def wrong(where: Path, what: str) -> Checked:
        return Checked(folder.name, (), (Finding(where, what),))

    if NAME.fullmatch(folder.name) is None:
        return wrong(folder, "a model's name has letters, digits, '.', '_' and '-' only")
    versions = version_names(folder)
    if not versions:
        return wrong(folder, _no_version(folder))
    try:
        versions = served_versions(folder, read_model_config(folder), versions)
        triton = read_pbtxt(folder)
    except ConfigError as error:
        return wrong(folder / CONFIG_FILE, str(error))
    said_in_vain = triton.warnings if triton is not None else ()
    findings = [Finding(folder / PBTXT_FILE, said, warning=True) for said in said_in_vain]
    models: list[LoadedModel] = []
    for version in versions:
        try:
            model = load_model(
                folder,
                version,
                versions,
                tensor_elements_max=tensor_elements_max,
                member=partial(repository.member, using=(folder.name,)),
            )
        except ConfigError as error:
            findings.append(Finding(folder / version, str(error)))
            continue
        models.append(model)
        findings.extend(_look_at(folder, model))
    return Checked(folder.name, tuple(models), tuple(findings))


def _look_at(folder: Path, model: LoadedModel) -> Iterator[Finding]:
    """A version that opens: can it be run with what lies there?"""
    if model.run_time.guess:
        yield Finding(
            folder / model.version,
            "could not be run with its example or with zeros, so its run time is a guess: "
            f"{model.run_time.guess}; expected an {EXAMPLE_FILE} that runs",
        )
    try:
        read_example(folder, model.metadata.inputs)
    except FileNotFoundError:
        return
    except ConfigError as error:
        yield Finding(folder / EXAMPLE_FILE, str(error))


def _no_version(folder: Path) -> str:
    if (folder / "model.onnx").is_file():
        return "model.onnx lies beside the versions; move it to 1/model.onnx"
    numbered = [f.name for f in folder.iterdir() if f.is_dir() and f.name.lstrip("v").isdigit()]
    wrong = [name for name in numbered if VERSION.fullmatch(name) is None]
    if wrong:
        return f"{wrong[0]!r} is no version; expected a number from 1 up, as in 1/model.onnx"
    return "no version folder; expected 1/model.onnx"
