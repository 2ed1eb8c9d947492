"""The model repository: folders in Triton's layout, and which of their models are in memory.

    ROOT/NAME/config.toml          optional
    ROOT/NAME/1/model.onnx         a folder a version, the number is its name
    ROOT/NAME/example.json, card.md, label files

Theory of operation. ``scan`` looks which models lie on disk. ``load`` opens all versions of
one and then, if every one opened, replaces what was served before in one assignment; if any
failed, nothing changes and the reason is kept for the index. ``get`` is on the way of every
request and takes no lock. ``load`` may run in another thread than ``get`` and ``unload``.
"""

from __future__ import annotations

import difflib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.api import ConfigError, NotFound
from gateway.engine.loaded_model import LoadedModel, load_model

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
VERSION = re.compile(r"[1-9][0-9]{0,17}")
NAMED_MAX = 20
"""Models named in an error message."""

READY = "READY"
UNAVAILABLE = "UNAVAILABLE"
LOADING = "LOADING"


@dataclass(frozen=True, slots=True)
class _Resident:
    """The versions of a model in memory; ``latest`` has the highest number."""

    latest: LoadedModel
    by_version: Mapping[str, LoadedModel]


class ModelRepository:
    """All models below ``roots``; a name may occur once."""

    def __init__(
        self,
        roots: Sequence[Path],
        *,
        tensor_elements_max: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.roots = tuple(roots)
        self._elements_max = tensor_elements_max
        self._clock = clock
        self._folders: dict[str, Path] = {}
        self._resident: dict[str, _Resident] = {}
        self._reasons: dict[str, str] = {}
        self._loading: set[str] = set()
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

    def load(self, name: str) -> None:
        """Load or reload all versions of ``name``; whole or not at all.

        Raises NotFound, or ConfigError when a version is wrong: what was served before stays.
        """
        folder = self._folder(name)
        with self._one_load:
            self._loading.add(name)
            try:
                self._resident[name] = self._open(folder)
                self._reasons.pop(name, None)
            except ConfigError as error:
                self._reasons[name] = str(error)
                raise
            finally:
                self._loading.discard(name)

    def unload(self, name: str) -> None:
        """Forget ``name``; runs under way end normally. Raises NotFound when unknown."""
        if name not in self._resident and name not in self._folders:
            raise self._unknown(name)
        self._resident.pop(name, None)
        self._reasons[name] = "unloaded"

    def get(self, name: str, version: str = "") -> LoadedModel:
        """The model in memory, its highest version unless told. Raises NotFound."""
        resident = self._resident.get(name)
        if resident is None:
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

    def state(self, name: str) -> str:
        """READY, LOADING or UNAVAILABLE. A model being reloaded stays READY. Raises NotFound."""
        if name in self._resident:
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
            for version in sorted({*on_disk, *serving}, key=int):
                if version in serving:
                    rows.append((name, version, READY, self._reasons.get(name, "")))
                else:
                    rows.append((name, version, absent, reason))
        return rows

    def _folder(self, name: str) -> Path:
        if name not in self._folders and NAME.fullmatch(name):
            self.scan()
        folder = self._folders.get(name)
        if folder is None:
            raise self._unknown(name)
        return folder

    def _open(self, folder: Path) -> _Resident:
        versions = version_names(folder)
        if not versions:
            raise ConfigError(f"{folder}: no version folder; expected {folder.name}/1/model.onnx")
        models = {
            version: load_model(
                folder,
                version,
                versions,
                tensor_elements_max=self._elements_max,
                clock=self._clock,
            )
            for version in versions
        }
        return _Resident(models[versions[-1]], models)

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
