"""The model repository: folders in Triton's layout, and which of their models are in memory.

    ROOT/NAME/config.toml          optional
    ROOT/NAME/1/model.onnx         a folder a version, the number is its name
    ROOT/NAME/example.json, card.md, label files

Theory of operation. ``scan`` looks which models lie on disk. ``load`` opens all versions of
one and then, if every one opened, replaces what was served before in one assignment; if any
failed, nothing changes and the reason is kept for the index. ``get`` is on the way of every
request and takes no lock. ``load`` may run in another thread than ``get`` and ``unload``.

A model that is *declared* (``declare``) is served without being in memory: ``get`` raises
``NotYetLoaded`` for it, whoever needs it calls ``load``, and ``evict`` turns it back into one that
is declared, with what was measured of it.

``renewed`` makes the repository that follows this one: other folders, or other files in them. It
shares what has not changed and opens the rest aside, so that this one serves meanwhile.
"""

from __future__ import annotations

import difflib
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gateway.api import ConfigError, NotFound
from gateway.config.file_signature import Signature, signature_of
from gateway.engine.cold_models import ColdModel, cold_model
from gateway.engine.heap import files_bytes, heap_reader, taken_bytes
from gateway.engine.loaded_model import LoadedModel, Measured, load_model
from gateway.engine.model_config import ModelConfig, read_model_config, served_versions
from gateway.engine.tokenizer import TOKENIZER_FILE
from gateway.engine.triton_pbtxt import read_pbtxt

log = logging.getLogger("nearway.models")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
VERSION = re.compile(r"[1-9][0-9]{0,17}")
NAMED_MAX = 20
"""Models named in an error message."""

READY = "READY"
UNAVAILABLE = "UNAVAILABLE"
LOADING = "LOADING"
UNLOADED = "unloaded"
LEFT_OUT = "left out by the version policy in its config"
ON_DEMAND = "not in memory; its first request loads it"


class NotYetLoaded(NotFound):
    """The model is served, but has to be loaded first."""


@dataclass(frozen=True, slots=True)
class _Resident:
    """The versions of a model in memory; ``latest`` has the highest number. ``signature``: of
    its folder before it was opened, and of those of ``members``, the models of an ensemble.
    """

    latest: LoadedModel
    by_version: Mapping[str, LoadedModel]
    signature: Signature
    load_ms: float
    memory_bytes: int
    members: Mapping[str, Path] = field(default_factory=dict)

    @property
    def under_way(self) -> int:
        """Requests of any version."""
        return sum(model.under_way for model in self.by_version.values())

    @property
    def used_s(self) -> float:
        """When the last one came."""
        return max(model.used_s for model in self.by_version.values())

    def signature_at(self, folder: Path, folders: Mapping[str, Path]) -> Signature:
        """What ``signature`` would be now, with the model in ``folder`` and its members there."""
        return signature_of([folder, *(folders.get(n, path) for n, path in self.members.items())])

    @property
    def measured(self) -> dict[str, Measured]:
        """By version."""
        return {v: Measured(m.run_time, m.batching) for v, m in self.by_version.items()}


class ModelRepository:
    """All models below ``roots``; a name may occur once."""

    def __init__(
        self,
        roots: Sequence[Path],
        *,
        tensor_elements_max: int,
        custom_ops: Sequence[str] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``custom_ops``: libraries of operators that any model may use."""
        self.roots = tuple(roots)
        self._custom_ops = tuple(custom_ops)
        self._elements_max = tensor_elements_max
        self._clock = clock
        self._folders: dict[str, Path] = {}
        self._resident: dict[str, _Resident] = {}
        self._cold: dict[str, ColdModel] = {}
        self._measured: dict[str, tuple[Signature, dict[str, Measured]]] = {}
        self._heap_bytes = heap_reader()
        self._reasons: dict[str, str] = {}
        self._loading: set[str] = set()
        self._followed: dict[str, _Resident] = {}
        self._one_load = threading.Lock()

    def scan(self) -> None:
        """See what lies on disk. Raises ConfigError: a root is no folder, a name occurs twice."""
        folders: dict[str, Path] = {}
        for root in self.roots:
            for folder in model_folders(root):
                first = folders.setdefault(folder.name, folder)
                if first != folder:
                    raise ConfigError(
                        f"model {folder.name!r} lies in {first.parent} and in {folder.parent}; "
                        "a name may occur once, rename or remove one of them"
                    )
        self._folders = folders

    def names(self) -> tuple[str, ...]:
        """Every model on disk or in memory, sorted."""
        return tuple(sorted({*self._folders, *self._resident}))

    def knows(self, name: str) -> bool:
        """Whether it lies on disk or is in memory."""
        return name in self._folders or name in self._resident

    def load(self, name: str) -> None:
        """Load or reload all versions of ``name``; whole or not at all. Ensembles that have it as a
        step take over what is loaded then, or, where it no longer fits, stay as they are.

        Raises NotFound, or ConfigError when a version is wrong: what was served before stays.
        """
        folder = self._folder(name)
        with self._one_load:
            self._loading.add(name)
            try:
                self._resident[name] = self._open(folder)
                self._cold.pop(name, None)
                self._reasons.pop(name, None)
            except ConfigError as error:
                self._cold.pop(name, None)
                self._reasons[name] = str(error)
                raise
            finally:
                self._loading.discard(name)
            for other, resident in list(self._resident.items()):
                if name in resident.members and other in self._folders:
                    try:
                        self._resident[other] = self._open(self._folders[other])
                        self._reasons.pop(other, None)
                    except ConfigError as error:
                        self._reasons[other] = str(error)
                        log.warning("model %s stays as it was: %s", other, error)

    def member(self, name: str, version: int, *, using: tuple[str, ...]) -> LoadedModel:
        """The model of an ensemble's step: the one in memory, else opened for it alone.

        ``using``: the ensemble, behind those that it is a step of. ``version`` 0: the latest.
        Raises ConfigError.
        """
        steps = " -> ".join(map(repr, (*using, name)))
        if name in using:
            raise ConfigError(f"the ensemble {name!r} is a step of itself: {steps}")
        resident = self._resident.get(name)
        if resident is None:
            folder = self._folders.get(name)
            if folder is None:
                known = ", ".join(n for n in self.names()[:NAMED_MAX] if n not in using) or "none"
                raise ConfigError(
                    f"the ensemble {using[-1]!r} has a step {name!r}, and there is no such model; "
                    f"models in this repository: {known}"
                )
            resident = self._open(folder, using)
        found = resident.by_version.get(str(version)) if version else resident.latest
        if found is None:
            raise ConfigError(
                f"the ensemble {using[-1]!r} has version {version} of {name!r} as a step; versions "
                f"that are served: {', '.join(resident.by_version)}"
            )
        return found

    def declare(self, name: str) -> None:
        """Serve ``name`` from now on and load it later. Raises NotFound, or ConfigError."""
        folder = self._folder(name)
        if name not in self._resident:
            self._cold[name] = cold_model(folder, version_names(folder))
            self._reasons.pop(name, None)

    def evict(self, name: str) -> None:
        """Free its memory and go on serving it; runs under way end normally."""
        resident = self._resident.pop(name, None)
        if resident is not None:
            self._measured[name] = (resident.signature, resident.measured)
            latest = resident.latest
            self._cold[name] = ColdModel(
                latest.config,
                latest.run_ms,
                resident.load_ms,
                resident.memory_bytes,
                measured=True,
            )

    def unload(self, name: str) -> None:
        """Forget ``name``; runs under way end normally. Raises NotFound when unknown."""
        if name not in self._resident and name not in self._folders:
            raise self._unknown(name)
        self._resident.pop(name, None)
        self._cold.pop(name, None)
        self._reasons[name] = UNLOADED

    def forget(self, name: str) -> None:
        """Nobody has it any more, though nobody unloaded it; harmless when unknown."""
        self._resident.pop(name, None)
        self._cold.pop(name, None)
        folder = self._folders.get(name)
        if folder is not None and not folder.is_dir():
            del self._folders[name]

    def renewed(
        self, roots: Sequence[Path], wanted: Callable[[str], bool], *, on_demand: bool = False
    ) -> ModelRepository:
        """The repository that follows this one, which stays as it is.

        Models are in memory there that are here and whose folder has not changed (shared), or
        whose folder has (opened anew); and those new on disk for which ``wanted`` says yes, or
        declared, where they are loaded ``on_demand``. What was unloaded by hand stays unloaded.
        Raises ConfigError for anything that is wrong.
        """
        after = ModelRepository(
            roots,
            tensor_elements_max=self._elements_max,
            custom_ops=self._custom_ops,
            clock=self._clock,
        )
        after.scan()
        after._followed = dict(self._resident)
        after._measured = dict(self._measured)
        for name, folder in after._folders.items():
            resident = after._followed.get(name)
            if resident is None and (self._reasons.get(name) == UNLOADED or not wanted(name)):
                after._reasons.update({name: UNLOADED} if name in self._reasons else {})
                continue
            same = resident is not None and resident.signature == resident.signature_at(
                folder, after._folders
            )
            if resident is not None and same:
                after._resident[name] = resident
            elif on_demand and resident is None:
                after.declare(name)
                if after._cold[name].config == (self._cold.get(name) or after._cold[name]).config:
                    after._cold[name] = self._cold.get(name, after._cold[name])
            else:
                after.load(name)
        return after

    def follows(self, before: ModelRepository, name: str) -> bool:
        """Whether ``before`` has the model as it had when this one was made from it."""
        return before._resident.get(name) is self._followed.get(name)

    def take_over(self, name: str, before: ModelRepository) -> None:
        """As ``before`` has it now, where somebody loaded or unloaded it in the meantime."""
        resident, cold = before._resident.get(name), before._cold.get(name)
        if resident is not None:
            self._resident[name] = resident
            self._cold.pop(name, None)
            self._folders.setdefault(name, before._folders[name])
        elif cold is not None:
            self._resident.pop(name, None)
            self._cold[name] = cold
        elif self._resident.pop(name, None) is not None:
            self._reasons[name] = UNLOADED

    def follow_no_more(self) -> None:
        """It is in force: what the one before does no longer matters."""
        self._followed = {}

    def in_memory(self) -> dict[str, LoadedModel]:
        """By name, the highest version of each model in memory."""
        return {name: resident.latest for name, resident in self._resident.items()}

    def present(self) -> dict[str, LoadedModel | ColdModel]:
        """By name, every model that is served, in memory or on demand."""
        return {**self._cold, **self.in_memory()}

    def cold(self, name: str) -> ColdModel | None:
        """What is known of a model that is served without being in memory."""
        return self._cold.get(name)

    def config(self, name: str) -> ModelConfig:
        """The config of a model that is served. Raises NotFound."""
        cold = self._cold.get(name)
        return cold.config if cold is not None else self.get(name).config

    def memory_bytes(self) -> int:
        """What all models in memory take, as measured when each was loaded."""
        return sum(resident.memory_bytes for resident in self._resident.values())

    def idle(self) -> list[str]:
        """Models in memory without a request under way, the least recently used first."""
        idle = [(one.used_s, name) for name, one in self._resident.items() if not one.under_way]
        return [name for _, name in sorted(idle)]

    def used_s(self) -> float:
        """When the latest request for any model in memory came."""
        return max((resident.used_s for resident in self._resident.values()), default=0.0)

    def get(self, name: str, version: str = "") -> LoadedModel:
        """The model in memory, its highest version unless told. Raises NotFound."""
        resident = self._resident.get(name)
        if resident is None:
            if name in self._cold:
                raise NotYetLoaded(f"model {name!r} is {ON_DEMAND}")
            raise self._unknown(name)
        if not version:
            return resident.latest
        model = resident.by_version.get(version)
        if model is None:
            raise NotFound(
                f"model {name!r} has no version {version[:20]!r}; "
                f"versions here: {', '.join(resident.by_version)}"
            )
        return model

    def speaks(self, name: str) -> bool:
        """Whether the model reads text: it has a tokenizer beside it."""
        resident = self._resident.get(name)
        if resident is not None:
            return resident.latest.language is not None
        folder = self._folders.get(name)
        return folder is not None and (folder / TOKENIZER_FILE).exists()

    def state(self, name: str) -> str:
        """READY, LOADING or UNAVAILABLE. A model being reloaded stays READY, and so is one that is
        loaded on demand. Raises NotFound.
        """
        if name in self._resident or name in self._cold:
            return READY
        if name in self._loading:
            return LOADING
        if name not in self._folders:
            raise self._unknown(name)
        return UNAVAILABLE

    def index(self) -> list[tuple[str, str, str, str]]:
        """(name, version, state, reason) of every version on disk or in memory, sorted.

        A READY version has a reason when the last attempt to reload its model failed.
        """
        rows: list[tuple[str, str, str, str]] = []
        for name in self.names():
            resident = self._resident.get(name)
            serving = resident.by_version if resident is not None else {}
            folder = self._folders.get(name)
            on_disk = version_names(folder) if folder is not None and folder.is_dir() else ()
            absent = LOADING if name in self._loading else UNAVAILABLE
            reason = self._reasons.get(name, "not loaded") if absent is UNAVAILABLE else ""
            cold = self._cold.get(name)
            config = cold.config if cold else resident.latest.config if resident else None
            chosen = config.versions.chosen(on_disk) if config is not None else on_disk
            for version in sorted({*on_disk, *serving}, key=int):
                if version in serving:
                    rows.append((name, version, READY, self._reasons.get(name, "")))
                elif version not in chosen:
                    rows.append((name, version, UNAVAILABLE, LEFT_OUT))
                elif cold is not None:
                    rows.append((name, version, READY, ON_DEMAND))
                else:
                    rows.append((name, version, absent, reason))
        return rows

    def folder(self, name: str) -> Path:
        """Where a model lies. Raises NotFound."""
        return self._folder(name)

    def _folder(self, name: str) -> Path:
        if name not in self._folders and NAME.fullmatch(name):
            self.scan()
        folder = self._folders.get(name)
        if folder is None:
            raise self._unknown(name)
        return folder

    def _open(self, folder: Path, used_by: tuple[str, ...] = ()) -> _Resident:
        """``used_by``: the ensembles it is opened for as a step, the outermost first."""
        began_s = self._clock()
        on_disk = version_names(folder)
        if not on_disk:
            raise ConfigError(f"{folder}: no version folder; expected {folder.name}/1/model.onnx")
        config = read_model_config(folder)
        members = self._members_of(config)
        signature = signature_of([folder, *members.values()])
        versions = served_versions(folder, config, on_disk)
        triton = read_pbtxt(folder)
        if triton is not None:
            for warning in triton.warnings:
                log.warning("%s: %s", triton.path, warning)
        measured = self._measured_of(folder.name, signature)
        before_bytes = self._heap_bytes() if self._heap_bytes is not None else 0
        models = {
            version: load_model(
                folder,
                version,
                versions,
                tensor_elements_max=self._elements_max,
                clock=self._clock,
                known=measured.get(version),
                custom_ops=self._custom_ops,
                member=partial(self.member, using=(*used_by, folder.name)),
            )
            for version in versions
        }
        grown_bytes = self._heap_bytes() - before_bytes if self._heap_bytes is not None else None
        on_disk_bytes = sum(files_bytes(folder / version) for version in versions)
        memory_bytes = taken_bytes(grown_bytes, on_disk_bytes)
        load_ms = (self._clock() - began_s) * 1e3
        latest = models[versions[-1]]
        return _Resident(latest, models, signature, load_ms, memory_bytes, members)

    def _members_of(self, config: ModelConfig) -> dict[str, Path]:
        """By name, the folders of the models that an ensemble is made of, one within it too."""
        members: dict[str, Path] = {}
        waiting = [config]
        while waiting:
            ensemble = waiting.pop().ensemble
            for step in ensemble.step if ensemble is not None else ():
                folder = self._folders.get(step.model)
                if folder is not None and step.model not in members:
                    members[step.model] = folder
                    waiting.append(read_model_config(folder))
        return members

    def _measured_of(self, name: str, signature: Signature) -> Mapping[str, Measured]:
        """By version, what was found when the same files were in memory before."""
        known = self._measured.get(name)
        return known[1] if known is not None and known[0] == signature else {}

    def _unknown(self, name: str) -> NotFound:
        shown = name if len(name) <= 64 else f"{name[:61]}..."
        if name in self._folders:
            return NotFound(f"model {shown!r} is not loaded: {self._reasons.get(name, 'not yet')}")
        known = self.names()
        close = difflib.get_close_matches(name[:64], known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        listed = ", ".join(known[:NAMED_MAX]) or "none"
        more = f" and {len(known) - NAMED_MAX} more" if len(known) > NAMED_MAX else ""
        return NotFound(f"model {shown!r} is unknown; {hint}known: {listed}{more}")


def model_folders(root: Path) -> list[Path]:
    """Folders of ``root`` that hold a version, sorted. Raises ConfigError: root is no folder."""
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder; a model repository holds NAME/1/model.onnx")
    return sorted(
        folder
        for folder in root.iterdir()
        if NAME.fullmatch(folder.name) and folder.is_dir() and version_names(folder)
    )


def version_names(folder: Path) -> tuple[str, ...]:
    """The version folders of a model, lowest number first."""
    names = [f.name for f in folder.iterdir() if VERSION.fullmatch(f.name) and f.is_dir()]
    return tuple(sorted(names, key=int))
