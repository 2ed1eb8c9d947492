"""How the parts look that move, carry or brake, whole and at fault."""

from __future__ import annotations

import numpy as np
from rail_inspection_canvas import Canvas


def hose(c: Canvas, state: str) -> None:
    """A hose between two clamps."""
    rubber, thick = c.vary(0.12, 0.25), c.vary(0.13, 0.17)
    if state == "detached":
        c.paint(c.box(-0.62, 0, 0.35, thick), rubber)
        c.mar(c.box(0.45, 0.3, 0.5, thick, -c.vary(0.4, 0.7)), rubber)
    else:
        c.paint(c.box(0, 0, 1.0, thick), rubber)
        c.paint(c.box(0, -thick * 0.5, 1.0, 0.03), rubber + 0.15)
    if state == "leaking":
        c.drip(c.vary(-0.3, 0.3), thick + 0.1)
    if state == "bulged":
        c.mar(c.disc(c.vary(-0.2, 0.2), 0, thick + 0.14), rubber)
    if state == "chafed":
        c.chafe(c.vary(-0.2, 0.2), 0, 0.2, thick)
    for side in (-1, 1):
        c.paint(c.box(side * 0.6, 0, 0.08, thick + 0.07), 0.8)


def pipe(c: Canvas, state: str) -> None:
    """A bright pipe with a bolted flange in the middle."""
    steel, thick = c.vary(0.6, 0.8), c.vary(0.2, 0.25)
    gap = c.vary(0.1, 0.14) if state == "parted" else 0.0
    for side in (-1, 1):
        c.paint(c.box(side * (0.62 + gap), 0, 0.62, thick), steel)
        c.paint(c.box(side * (0.62 + gap), thick * 0.6, 0.62, thick * 0.35), steel * 0.7)
        c.paint(c.box(side * (0.08 + gap), 0, 0.08, thick + 0.22), steel * 0.85)
        for end in (-1, 1):
            c.paint(c.box(side * (0.2 + gap), end * (thick + 0.13), 0.05, 0.06), 0.15)
    if gap:
        c.mar(c.box(0, 0, gap, thick + 0.2), 0.04)
    at_u = c.side() * c.vary(0.45, 0.7)
    if state == "leaking":
        c.drip(c.vary(-0.05, 0.05), thick + 0.25)
    if state == "dented":
        c.mar(c.disc(at_u, -thick - 0.02, 0.2), 0.2)
        c.paint(c.ring(at_u, -thick - 0.02, 0.2, 0.035), 0.95)
    if state == "corroded":
        c.rust(c.box(at_u, 0, 0.32, thick))


def spring(c: Canvas, state: str) -> None:
    """A coil spring between two seats, seen from the side."""
    tall = c.vary(0.36, 0.44) if state == "compressed" else c.vary(0.66, 0.74)
    off = c.side() * c.vary(0.3, 0.4) if state == "displaced" else 0.0
    body = c.box(off, 0, 0.4, tall)
    c.paint(body, 0.1)
    height = (c.v + np.float32(0.25) * c.u) / np.float32(tall)
    coils = np.float32(0.09) * np.cos(np.float32(2 * np.pi * 2.5) * height)
    c.paint(np.maximum(-coils, body), c.vary(0.6, 0.8))
    if state == "compressed" or off:
        c.flag(body)
    if state == "broken":
        c.mar(c.box(0, c.vary(-0.25, 0.25), 0.44, 0.14, 0.25), 0.05)
    if state == "fouled":
        at_u, at_v = c.vary(-0.2, 0.2), c.vary(-0.25, 0.25)
        c.mar(np.minimum(c.disc(at_u, at_v, 0.27), c.disc(at_u + 0.2, at_v + 0.1, 0.2)), 0.45)
    for end in (-1, 1):
        c.paint(c.box(0, end * (tall + 0.06), 0.5, 0.08), 0.5)


def pad(c: Canvas, state: str) -> None:
    """A friction pad in its holder, pressed against a bright surface on the right."""
    thick = c.vary(0.09, 0.15) if state == "worn" else c.vary(0.36, 0.46)
    holder = 0.55 - 2 * thick - 0.2
    c.paint(c.box(0.75, 0, 0.2, 1.1), 0.85)
    c.paint(c.box(holder, 0, 0.2, 0.62), 0.3)
    body = c.box(0.55 - thick, 0, thick, 0.55)
    if state == "missing":
        c.paint(body, 0.05)
        c.flag(body)
        return
    lining = c.vary(0.5, 0.65)
    c.paint(body, lining)
    if state == "worn":
        c.flag(c.box(0.55 - thick, 0, thick + 0.08, 0.55))
    if state == "tapered":
        end = c.side()
        wedge = (np.float32(0.55) - c.u) - np.float32(0.75) * (
            np.float32(0.35) - np.float32(end) * c.v
        )
        c.mar(np.maximum(body, wedge + np.float32(0.35)), 0.05)
    if state == "cracked":
        c.crack(0.55 - thick, c.vary(-0.25, 0.25), thick * 2.1, c.vary(-0.5, 0.5))


def wheel(c: Canvas, state: str) -> None:
    """The upper rim of a wheel: bright tread around a darker web."""
    web = c.vary(0.35, 0.45)
    outer = c.disc(0, 1.2, 1.6)
    if state == "flat":
        cut = -c.v - np.float32(c.vary(0.2, 0.24))
        c.flag(np.maximum(outer, -cut))
        outer = np.maximum(outer, cut)
    c.paint(outer, 0.85)
    c.paint(c.disc(0, 1.2, 1.32), web)
    c.paint(c.ring(0, 1.2, 1.1, 0.03), web * 0.6)
    turn = c.vary(-0.25, 0.25)
    sin, cos = float(np.sin(turn)), float(np.cos(turn))
    if state == "spalled":
        for step in (-0.2, 0.0, 0.2):
            at = turn + step
            c.mar(c.disc(1.46 * float(np.sin(at)), 1.2 - 1.46 * float(np.cos(at)), 0.085), 0.05)
    if state == "cracked":
        c.crack(1.35 * sin, 1.2 - 1.35 * cos, 0.6, turn + np.pi / 2)
    if state == "overheated":
        hot = np.maximum(c.ring(0, 1.2, 1.46, 0.13), c.disc(1.46 * sin, 1.2 - 1.46 * cos, 0.38))
        c.mar(hot, 0.25, 0.9)


def damper(c: Canvas, state: str) -> None:
    """A hydraulic cylinder with a bright rod, an eye at either end."""
    paint = c.vary(0.25, 0.4)
    turn = c.side() * c.vary(0.3, 0.4) if state == "bent" else 0.0
    off = c.vary(0.3, 0.4) if state == "detached" else 0.0
    c.paint(c.box(0.45, 0.45 * np.sin(turn) / 2, 0.45, 0.07, turn), 0.92)
    if turn:
        c.flag(c.box(0.5, 0.45 * np.sin(turn) / 2, 0.4, 0.1, turn))
    c.paint(c.box(-0.3, 0, 0.45, 0.2), paint)
    c.paint(c.box(-0.3, -0.1, 0.45, 0.04), paint + 0.25)
    c.paint(c.box(0.1, 0, 0.07, 0.24), paint * 0.5)
    eye_v = 0.45 * np.sin(turn)
    for at_u, at_v in ((-0.85, 0.0), (0.85, eye_v - off)):
        c.paint(c.disc(at_u, at_v, 0.17), 0.6)
        c.paint(c.disc(at_u, at_v, 0.08), 0.05)
    if off:
        c.flag(c.disc(0.85, -off / 2, 0.3))
    if state == "leaking":
        c.drip(c.vary(0.02, 0.15), 0.25)
    if state == "dented":
        at_u, end = c.vary(-0.5, -0.15), c.side()
        c.mar(c.disc(at_u, end * 0.14, 0.15), 0.03)
        c.paint(c.ring(at_u, end * 0.14, 0.15, 0.03), 0.8)


def chain(c: Canvas, state: str) -> None:
    """A safety chain of five links, drawn tight."""
    steel = c.vary(0.65, 0.85)
    odd = int(c.rng.integers(1, 4))
    for index in range(5):
        at_u = -0.8 + 0.4 * index
        at_v = 0.45 * (1 - (at_u / 0.8) ** 2) if state == "slack" else 0.0
        if index == odd and state == "broken":
            c.flag(c.disc(at_u, at_v, 0.22))
            continue
        if index == odd and state == "twisted":
            c.paint(c.box(at_u, at_v, 0.29, 0.1), 0.1)
            c.mar(c.box(at_u, at_v, 0.26, 0.07), steel)
            continue
        c.paint(c.ring(at_u, at_v, 0.19, 0.09), 0.1)
        c.paint(c.ring(at_u, at_v, 0.19, 0.06), steel)
        if state == "slack":
            c.flag(c.disc(at_u, at_v, 0.15))
    if state == "rusted":
        c.rust(np.abs(c.v) - np.float32(0.26))
