"""A synthetic road and a driver: what a car sees from above, and where it is three seconds later.

The lane's middle is a cubic before the car, as lane models have it. The driver steers back to it
and around whatever stands partly in the lane, slows down for bends, keeps a time gap to the car
ahead (the intelligent driver model) and else takes up the speed limit. His foot and hand are a
little unsteady, which nobody can foresee; the best possible forecast is the same driver with a calm
hand.

Everything is in the car's frame at the start: x ahead, y to the left, metres.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from splits import Splits

Array = NDArray[np.float64]

SPLITS = Splits(train=range(61_000, 61_020), stop=(62_000, 62_001), card=90_006, check=70_006)
CELLS = 64
CELL_X_M, CELL_Y_M = 1.0, 0.5
BEHIND_M = 4.0  # of the map, behind the car
LAYERS = ("road", "own lane", "occupied", "speed of what occupies, in 30 m/s")
EGO = ("speed m/s", "acceleration m/s2", "yaw rate rad/s", "speed limit m/s")
STEPS, STEP_S, SUBSTEPS = 12, 0.25, 5
LANE_M, CAR_M = 3.5, (4.5, 1.9)
SPEED_LAYER_M_S = 30.0
UNSTEADY_FOOT_M_S2, UNSTEADY_HAND = 0.35, 0.0012
SIDEWAYS_M_S2 = 2.5  # what a driver takes in a bend
GAP_S, GAP_M, SPEED_UP_M_S2, SLOW_DOWN_M_S2 = 1.4, 3.0, 1.6, 2.2
NOTHING_M = 500.0


class Samples(NamedTuple):
    """Maps [n, 4, 64, 64] in 0..1, own motion [n, 4], paths [n, 12, 2], best forecasts alike.

    Row 0 of a map is 60 m ahead, column 0 is 16 m to the left.
    """

    bev: NDArray[np.float32]
    ego: NDArray[np.float32]
    path_m: NDArray[np.float32]
    best_m: NDArray[np.float32]


class Scene(NamedTuple):
    """Roads, leaders and obstacles of many scenes, each value [n]."""

    offset_m: Array
    heading: Array
    bend: Array  # 1/m
    bend_change: Array  # 1/m2
    right_lanes: Array
    left_lanes: Array
    limit_m_s: Array
    lead_x_m: Array
    lead_m_s: Array
    parked_x_m: Array
    parked_side: Array  # 1 left, -1 right
    parked_in_m: Array  # how far it reaches into the lane

    def middle(self, x: Array) -> Array:
        """y of the lane's middle; `x` broadcasts against [n]."""
        return self.offset_m + self.heading * x + self.bend * x**2 / 2 + self.bend_change * x**3 / 6

    def slope(self, x: Array) -> Array:
        """dy/dx of the lane's middle."""
        return self.heading + self.bend * x + self.bend_change * x**2 / 2


def generate(count: int, seed: int) -> Samples:
    """`count` scenes, each its own road."""
    rng = np.random.default_rng(seed)
    scene, ego = _scene(count, rng)
    shape = (STEPS * SUBSTEPS, count)
    foot = UNSTEADY_FOOT_M_S2 * rng.normal(0, 1, shape)
    hand = UNSTEADY_HAND * rng.normal(0, 1, shape)
    path_m = drive(scene, ego, foot, hand)
    best_m = drive(scene, ego, np.zeros(shape), np.zeros(shape))
    return Samples(
        bev=look_down(scene),
        ego=ego.astype(np.float32),
        path_m=path_m.astype(np.float32),
        best_m=best_m.astype(np.float32),
    )


def _scene(count: int, rng: np.random.Generator) -> tuple[Scene, Array]:
    speed = rng.uniform(3.0, 18.0, count)
    tight = np.minimum(0.022, 3.0 / speed**2)  # a road is built for its speed
    limit = np.maximum(speed + rng.uniform(-4, 5, count), 5.0)
    has_lead = rng.random(count) < 0.5
    lead_x = np.where(has_lead, 8.0 + speed * rng.uniform(0.5, 2.5, count), NOTHING_M)
    has_parked = rng.random(count) < 0.35
    parked_x = np.where(has_parked, rng.uniform(12, 50, count), NOTHING_M)
    bend = tight * rng.uniform(-1, 1, count)
    scene = Scene(
        offset_m=rng.uniform(-0.8, 0.8, count),
        heading=rng.uniform(-0.06, 0.06, count),
        bend=bend,
        bend_change=tight / 60 * rng.uniform(-1, 1, count),
        right_lanes=rng.integers(0, 2, count).astype(float),
        left_lanes=rng.integers(1, 3, count).astype(float),
        limit_m_s=limit,
        lead_x_m=lead_x,
        lead_m_s=np.maximum(speed + rng.uniform(-5, 3, count), 0.0),
        parked_x_m=parked_x,
        parked_side=np.where(rng.random(count) < 0.3, 1.0, -1.0),
        parked_in_m=rng.uniform(0.4, 1.1, count),
    )
    acceleration = rng.normal(0, 0.6, count)
    yaw_rate = speed * (bend + rng.normal(0, 0.004, count))
    return scene, np.stack((speed, acceleration, yaw_rate, limit), axis=1)


def drive(scene: Scene, ego: Array, foot: Array, hand: Array) -> Array:
    """Where the car is after each step, [n, 12, 2]; `foot` and `hand` are [substeps, n]."""
    count = len(ego)
    x, y, turned, speed = np.zeros(count), np.zeros(count), np.zeros(count), ego[:, 0].copy()
    pull, curve = ego[:, 1].copy(), ego[:, 2] / np.maximum(ego[:, 0], 1.0)
    lead_x, step_s, path = scene.lead_x_m.copy(), STEP_S / SUBSTEPS, []
    for substep in range(STEPS * SUBSTEPS):
        pull += step_s / 0.4 * (_wanted_pull(scene, x, speed, lead_x) - pull)
        curve += step_s / 0.3 * (_wanted_curve(scene, x, y, turned, speed) - curve)
        speed = np.maximum(speed + step_s * (pull + foot[substep]), 0.0)
        turned = turned + step_s * speed * (curve + hand[substep])
        x = x + step_s * speed * np.cos(turned)
        y = y + step_s * speed * np.sin(turned)
        lead_x = lead_x + step_s * scene.lead_m_s
        if substep % SUBSTEPS == SUBSTEPS - 1:
            path.append(np.stack((x, y), axis=1))
    return np.stack(path, axis=1)


def _wanted_pull(scene: Scene, x: Array, speed: Array, lead_x: Array) -> Array:
    """Acceleration by the intelligent driver model (Treiber et al. 2000), slower in bends."""
    ahead = x + 1.5 * speed
    bend = np.abs(scene.bend + scene.bend_change * ahead)
    wanted = np.minimum(scene.limit_m_s, np.sqrt(SIDEWAYS_M_S2 / np.maximum(bend, 1e-4)))
    gap = np.maximum(lead_x - x - CAR_M[0], 0.5)
    closing = speed * (speed - scene.lead_m_s) / (2 * np.sqrt(SPEED_UP_M_S2 * SLOW_DOWN_M_S2))
    kept = GAP_M + np.maximum(GAP_S * speed + closing, 0.0)
    pull = SPEED_UP_M_S2 * (1 - (speed / wanted) ** 4 - (kept / gap) ** 2)
    return np.asarray(np.clip(pull, -5.0, SPEED_UP_M_S2))


def _wanted_curve(scene: Scene, x: Array, y: Array, turned: Array, speed: Array) -> Array:
    """Curvature towards a point ahead on the line the driver wants to drive (pure pursuit)."""
    ahead = np.maximum(0.9 * speed, 5.0)
    at = x + ahead
    near = np.exp(-(((at - scene.parked_x_m) / 12.0) ** 2))
    aside = -scene.parked_side * (scene.parked_in_m + 0.3) * near
    off = (scene.middle(at) + aside - y) * np.cos(turned) - ahead * np.sin(turned)
    return np.asarray(np.clip(2 * off / ahead**2, -0.12, 0.12))


def look_down(scene: Scene) -> NDArray[np.float32]:
    """The four layers of the map, with soft edges, [n, 4, 64, 64]."""
    x = ((CELLS - 1 - np.arange(CELLS)) + 0.5) * CELL_X_M - BEHIND_M
    y = ((CELLS - 1 - np.arange(CELLS)) + 0.5 - CELLS / 2) * CELL_Y_M
    columns = Scene(*(values[:, None] for values in scene))
    middle, slope = columns.middle(x[None]), columns.slope(x[None])
    aside = (y[None, None] - middle[:, :, None]) / np.sqrt(1 + slope**2)[:, :, None]
    right = -(LANE_M / 2 + LANE_M * scene.right_lanes)[:, None, None]
    left = (LANE_M / 2 + LANE_M * scene.left_lanes)[:, None, None]
    lane = _soft(LANE_M / 2 - np.abs(aside))
    road = _soft(np.minimum(aside - right, left - aside))
    lead = _car(x, aside, scene.lead_x_m, np.zeros(len(middle)))
    edge = scene.parked_side * (LANE_M / 2 - scene.parked_in_m + CAR_M[1] / 2)
    parked = _car(x, aside, scene.parked_x_m, edge)
    speed = lead * (scene.lead_m_s / SPEED_LAYER_M_S)[:, None, None]
    layers = (road, lane, np.maximum(lead, parked), speed)
    return np.stack(layers, axis=1).astype(np.float32)


def _car(x: Array, aside: Array, at_x: Array, at_aside: Array) -> Array:
    """How far each cell is covered by a car, [n, 64, 64]."""
    along = CAR_M[0] / 2 - np.abs(x[None] - at_x[:, None])
    across = CAR_M[1] / 2 - np.abs(aside - at_aside[:, None, None])
    return np.clip(along / CELL_X_M + 0.5, 0, 1)[:, :, None] * _soft(across)


def _soft(inside_m: Array) -> Array:
    """Share of a cell that is inside, from the distance of its middle to the edge."""
    return np.clip(inside_m / CELL_Y_M + 0.5, 0.0, 1.0)
