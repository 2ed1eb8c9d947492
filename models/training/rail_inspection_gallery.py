"""Write `docs/rail-inspection-gallery.html`: what the camera sees, and where the model looks.

    python models/training/rail_inspection_gallery.py

A hard picture of every part and state, not trained on, with the heat map found laid over it in red,
and what the model calls it. The page holds its pictures and needs nothing else.
"""

from __future__ import annotations

import base64
import html
import struct
import zlib

import export
import numpy as np
import rail_inspection_plant as plant
from rail_inspection_parts import OK, PARTS

PAGE = export.SERVED.parents[1] / "docs" / "rail-inspection-gallery.html"
SEED = 70_103
LEVELS = 24  # of grey on the page, so that it stays small
HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>rail-inspection: samples and heat maps</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }
  table { border-collapse: collapse } td, th { padding: .25rem; vertical-align: top }
  th { text-align: left; font-weight: 600 } figure { margin: 0; width: 10.5rem }
  img { display: block; width: 100%; image-rendering: pixelated }
  figcaption { font-size: .8rem } .wrong { color: #b00020; font-weight: 600 }
</style>
"""


def main() -> None:
    rng = np.random.default_rng(SEED)
    rows = "".join(_row(part, rng) for part in PARTS)
    text = (
        f"{HEAD}<h1>rail-inspection</h1>\n"
        "<p>Drawn pictures of every part, whole and with each of its faults, under the hardest "
        "conditions of the generator. Red is the heat map the model finds; below stands what it "
        "calls the picture, and how sure it is. None of the pictures was trained on, none was "
        "picked.</p>\n"
        f"<table>\n{rows}</table>\n"
    )
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE}: {PAGE.stat().st_size / 1000:.0f} kB")


def _row(part: str, rng: np.random.Generator) -> str:
    states = (OK, *PARTS[part][1])
    cells = "".join(f"<td>{_figure(part, state, rng)}</td>\n" for state in states)
    return f"<tr><th>{html.escape(part)}</th>\n{cells}</tr>\n"


def _figure(part: str, state: str, rng: np.random.Generator) -> str:
    fitting = [label for label, names in enumerate(plant.CLASSES) if names[1:] == (part, state)]
    label = int(rng.choice(fitting))
    image, _ = plant.picture(label, 1.0, rng)
    station = np.eye(len(plant.STATIONS), dtype=np.float32)[plant.STATION_OF[label]]
    inputs = {"image": image[None, None], "station": station[None]}
    answer = export.run(export.MODELS / "rail-inspection" / "1" / "model.onnx", inputs)
    named = int(answer["fault"].argmax())
    sure = float(answer["fault"].max())
    called = html.escape(" ".join(plant.CLASSES[named][1:]))
    kind = "" if named == label else ' class="wrong"'
    picture = base64.b64encode(png(_glow(image, answer["heat_map"][0, 0]))).decode()
    return (
        f'<figure><img alt="{html.escape(plant.LABELS[label])}" '
        f'src="data:image/png;base64,{picture}">'
        f"<figcaption>{html.escape(plant.LABELS[label])}<br>"
        f"<span{kind}>{called}, {100 * sure:.0f} %</span></figcaption></figure>"
    )


def _glow(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The picture with the heat map in red, [side, side, 3] of bytes."""
    side = plant.CELL_PX
    warm = np.kron(heat, np.ones((side, side)))[:, :, None] * 0.45
    coarse = np.round(image * LEVELS) / LEVELS
    mixed = (1 - warm) * coarse[:, :, None] + warm * np.array([1.0, 0.1, 0.1])
    return np.asarray((255 * np.round(mixed * 48) / 48).astype(np.uint8))


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of bytes [height, width, 3]."""
    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


if __name__ == "__main__":
    main()
