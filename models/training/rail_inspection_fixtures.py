"""How the parts look that are fastened to a car, whole and at fault."""

from __future__ import annotations

import numpy as np
from rail_inspection_canvas import Canvas, Plane


def bolt(c: Canvas, state: str) -> None:
    """A hexagon bolt with a painted witness mark that runs from the head on to the plate."""
    steel = c.vary(0.45, 0.6)
    c.paint(c.disc(0, 0, 0.62), steel * 0.8)
    if state == "missing":
        c.mar(c.disc(0, 0, c.vary(0.24, 0.3)), 0.06)
        return
    mark = c.vary(-0.4, 0.4)
    c.paint(_ray(c, mark, 0.3, 0.62), 0.95)
    head = mark
    if state == "loose":
        head += c.side() * c.vary(0.6, 1.1)
        c.flag(c.disc(0, 0, 0.4))
    c.paint(c.hexagon(0.37, head), steel * 1.25)
    c.paint(_ray(c, head, 0.0, 0.37), 0.95)
    if state == "cracked":
        c.crack(c.vary(-0.05, 0.05), c.vary(-0.05, 0.05), 0.75, mark + np.pi / 2)
    if state == "rusted":
        c.rust(c.disc(0, 0, 0.62))


def _ray(c: Canvas, turn: float, start: float, end: float) -> Plane:
    middle = (start + end) / 2
    at_u, at_v = middle * np.cos(turn), middle * np.sin(turn)
    return c.box(float(at_u), float(at_v), (end - start) / 2, 0.07, turn)


def cover(c: Canvas, state: str) -> None:
    """A hatch held by a latch on either side."""
    sheet = c.vary(0.55, 0.75)
    c.paint(c.box(0, 0, 0.72, 0.55), 0.08)
    drop = c.vary(0.22, 0.35) if state == "open" else 0.0
    c.paint(c.box(0, drop, 0.67, 0.5, drop * 0.3), sheet)
    c.paint(c.box(0, drop, 0.5, 0.33, drop * 0.3), sheet * 0.85)
    if drop:
        c.flag(c.box(0, drop - 0.5, 0.67, drop / 2))
    unlatched = c.side() if state == "unlatched" else 0
    for side in (-1, 1):
        turn = np.pi / 2 + c.vary(-0.3, 0.3) if side == unlatched else 0.0
        c.paint(c.box(side * 0.62, 0, 0.26, 0.08, turn), 0.22)
        if turn:
            c.flag(c.box(side * 0.62, 0, 0.2, 0.26))
    if state == "dented":
        at_u, at_v = c.vary(-0.25, 0.25), c.vary(-0.15, 0.15)
        c.mar(c.disc(at_u, at_v, 0.2), sheet * 0.45)
        c.paint(c.disc(at_u + 0.05, at_v + 0.06, 0.13), sheet * 1.2)
    if state == "cracked":
        c.crack(c.vary(-0.2, 0.2), c.vary(-0.1, 0.1), 0.65, c.vary(-1.2, 1.2))


def connector(c: Canvas, state: str) -> None:
    """A plug in its socket, a cable at its end."""
    shell = c.vary(0.6, 0.8)
    gap = c.vary(0.24, 0.36) if state == "unplugged" else 0.0
    c.paint(c.box(0.7 + gap / 2, 0, 0.45, 0.09), 0.15)
    if state == "frayed":
        for turn in np.linspace(-0.9, 0.9, 5) + c.rng.uniform(-0.1, 0.1, 5):
            strand = c.box(0.72, 0.25 * float(turn), 0.22, 0.025, float(turn))
            c.mar(strand, 0.95)
    c.paint(c.box(-0.35 - gap / 2, 0, 0.33, 0.36), shell)
    c.paint(c.box(0.2 + gap / 2, 0, 0.27, 0.28), shell * 0.75)
    if gap:
        c.mar(c.box(-0.04, 0, gap / 2, 0.26), 0.05)
        c.paint(c.box(-0.04, 0.1, gap / 2, 0.03), 0.85)
    if state == "scorched":
        at_u, at_v = c.vary(-0.4, -0.1), c.vary(-0.1, 0.1)
        c.mar(c.disc(at_u, at_v, c.vary(0.26, 0.32)), 0.08, 0.9)
    if state == "cracked":
        c.crack(-0.35, c.vary(-0.1, 0.1), 0.55, c.vary(-1.0, 1.0))


def grille(c: Canvas, state: str) -> None:
    """A vent of six slats in a frame."""
    slat = c.vary(0.5, 0.7)
    c.paint(c.box(0, 0, 0.72, 0.62), slat * 0.7)
    c.paint(c.box(0, 0, 0.62, 0.53), 0.06)
    odd = int(c.rng.integers(1, 5)) if state in ("slat missing", "slat bent") else -1
    for index in range(6):
        at_v = -0.44 + 0.176 * index
        if index != odd:
            c.paint(c.box(0, at_v, 0.62, 0.045), slat)
            continue
        c.flag(c.box(0, at_v, 0.62, 0.1))
        if state == "slat bent":
            tilt = c.side() * c.vary(0.5, 0.7)
            c.paint(c.box(-0.3, at_v, 0.35, 0.045), slat)
            c.paint(c.box(0.2, at_v + 0.25 * np.sin(tilt), 0.3, 0.05, tilt), slat * 1.2)
    if state == "clogged":
        c.mar(c.disc(c.vary(-0.25, 0.25), c.vary(-0.1, 0.1), c.vary(0.34, 0.4)), slat * 0.75, 0.95)
    if state == "holed":
        at_u, at_v = c.vary(-0.25, 0.25), c.vary(-0.2, 0.2)
        c.mar(c.disc(at_u, at_v, c.vary(0.22, 0.28)), 0.02)


def axle_box(c: Canvas, state: str) -> None:
    """A round bearing housing, its cap held by three bolts."""
    steel = c.vary(0.45, 0.6)
    c.paint(c.disc(0, 0, 0.75), steel * 0.75)
    if state == "cap missing":
        c.mar(c.disc(0, 0, 0.5), 0.05)
        c.paint(c.disc(0, 0, 0.2), steel * 0.9)
        return
    c.paint(c.disc(0, 0, 0.58), steel * 1.2)
    first = c.vary(-0.3, 0.3)
    lost = int(c.rng.integers(0, 3)) if state == "bolt missing" else -1
    for index in range(3):
        turn = first + index * 2.094
        at_u, at_v = 0.38 * float(np.sin(turn)), -0.38 * float(np.cos(turn))
        if index == lost:
            c.paint(c.disc(at_u, at_v, 0.07), 0.04)
            c.flag(c.disc(at_u, at_v, 0.16))
            continue
        c.paint(c.disc(at_u, at_v, 0.14), 0.12)
        c.paint(c.disc(at_u, at_v, 0.1), 0.92)
    if state == "leaking":
        c.drip(c.vary(-0.3, 0.3), c.vary(0.3, 0.4))
    if state == "overheated":
        c.paint(c.ring(0, 0, 0.67, 0.09), 0.97)
        c.flag(c.ring(0, 0, 0.67, 0.1))


def valve(c: Canvas, state: str) -> None:
    """A cock in a pipe: handle along the pipe when open, a bright seal below it."""
    body = c.vary(0.5, 0.65)
    c.paint(c.box(0, 0.1, 1.1, 0.13), body * 0.7)
    c.paint(c.box(0, 0.1, 0.34, 0.27), body)
    c.paint(c.disc(0, 0.1, 0.2), body * 0.55)
    if state == "seal missing":
        c.flag(c.disc(0, 0.62, 0.2))
    else:
        c.paint(c.box(0, 0.42, 0.03, 0.12), 0.85)
        c.paint(c.disc(0, 0.62, 0.13), 0.95)
    if state == "handle missing":
        c.flag(c.box(0.3, 0.1, 0.4, 0.15))
        c.paint(c.disc(0, 0.1, 0.08), 0.05)
    elif state == "closed":
        c.mar(c.box(0, -0.28, 0.09, 0.45), 0.08)
    else:
        c.paint(c.box(0.32, 0.1, 0.45, 0.09), 0.08)
    if state == "leaking":
        c.drip(c.side() * c.vary(0.4, 0.55), 0.25)


def cable(c: Canvas, state: str) -> None:
    """Three cables side by side, held by two straps."""
    sheath = c.vary(0.1, 0.22)
    odd = int(c.rng.integers(0, 3))
    place = c.vary(-0.15, 0.15)
    for index in range(3):
        at_v = -0.24 + 0.24 * index
        if state == "sagging" and index == 2:
            sag = np.float32(0.5) * np.cos(np.float32(1.5) * _between_straps(c))
            c.mar(np.abs(c.v - np.float32(at_v + 0.08) - sag) - np.float32(0.075), sheath)
            continue
        c.paint(c.box(0, at_v, 1.2, 0.075), sheath)
        c.paint(c.box(0, at_v - 0.03, 1.2, 0.02), sheath + 0.2)
        if state == "cut" and index == odd:
            c.mar(c.box(place, at_v, 0.15, 0.1), 0.5)
            for end in (-1, 1):
                c.mar(c.box(place + end * 0.17, at_v, 0.05, 0.07), 0.97)
        if state == "chafed" and index == odd:
            c.chafe(place, at_v, 0.24, 0.1)
    lost = c.side() if state == "strap missing" else 0
    for end in (-1, 1):
        if end == lost:
            c.flag(c.box(end * 0.6, 0, 0.12, 0.4))
        else:
            c.paint(c.box(end * 0.6, 0, 0.08, 0.4), 0.85)


def _between_straps(c: Canvas) -> Plane:
    """The coordinate along a cable, cut where the straps hold it."""
    return np.clip(c.u * np.float32(1.7), np.float32(-1.05), np.float32(1.05))
