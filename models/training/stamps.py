"""What a model was made from: the hash of its sources and of its file, remembered in a stamp."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVED = HERE.parent / "gateway_models"

Stamp = dict[str, str]


def of(name: str, sources: Sequence[str]) -> Stamp:
    """The present state: a hash of the modules `sources` and one of the served model file."""
    digest = hashlib.sha256()
    for module in sources:
        digest.update(bare((HERE / f"{module}.py").read_text(encoding="utf-8")).encode())
    path = SERVED / name / "1" / "model.onnx"
    model = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
    return {"sources": digest.hexdigest(), "model": model}


def bare(source: str) -> str:
    """The syntax of a module without comments, layout and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            del body[0]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def read(build: Path, name: str) -> Stamp | None:
    """The stamp of the last training; None when there is none or it cannot be read."""
    try:
        stamp = json.loads((build / f"{name}.json").read_text(encoding="utf-8"))
        return {key: stamp[key] for key in ("sources", "model")}
    except (OSError, ValueError, KeyError):
        return None


def write(build: Path, name: str, stamp: Stamp, took_s: float) -> None:
    """Remember that `name` is made from the sources in `stamp`, in `took_s` seconds."""
    build.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**stamp, "took_s": round(took_s, 1)})
    (build / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def copy(source: Path, target: Path) -> None:
    """Copy a model folder over another; whoever reads meanwhile sees old files or new ones."""
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f".{place.name}.new")
        shutil.copyfile(path, beside)
        os.replace(beside, place)
