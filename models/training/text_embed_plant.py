"""Reports and searches for `text-embed`: the same fault told twice, mostly in other words.

A report tells which part of which site has which fault, what it led to and who saw it. A search
names site, part and fault as somebody would who has not read the report: parts and faults have
several names each, and only the site is always called the same. The three together are the key. Of
its checksum modulo `PARTS` one remainder is for the card and one for checks; training never sees
those combinations.
"""

from __future__ import annotations

import zlib
from random import Random
from typing import NamedTuple

import numpy as np
from splits import Splits

SPLITS = Splits(train=range(51_000, 51_064), stop=(), card=90_012, check=70_012)
PARTS = 10
CARD, CHECK = 0, 1
LEARNT_MAX, HELD_OUT_MAX = 7500, 900

SITES = (
    "Wuhu", "Bengbu", "Ordos", "Baotou", "Tangshan", "Anshan", "Dalian", "Qingdao", "Weihai",
    "Harbin", "Daqing", "Jilin", "Luoyang", "Kaifeng", "Xuzhou", "Nantong", "Ningbo", "Wenzhou",
    "Xiamen", "Foshan", "Zhuhai", "Haikou", "Guilin", "Liuzhou", "Guiyang", "Zunyi", "Kunming",
    "Dali", "Mianyang", "Yibin", "Lanzhou", "Jiuquan", "Xining", "Hami", "Turpan", "Karamay",
    "Yinchuan", "Datong", "Handan", "Baoding",
)  # fmt: skip

Names = tuple[str, ...]
COMPONENTS: tuple[Names, ...] = (
    ("tuyere", "blast nozzle", "air inlet of the furnace"),
    ("taphole", "iron notch", "tapping opening"),
    ("cooling plate", "furnace cooler", "stave"),
    ("skip hoist", "charging lift", "burden elevator"),
    ("axle bearing", "wheel bearing", "journal box"),
    ("brake pad", "brake lining", "friction block"),
    ("coupler", "drawbar", "link between the cars"),
    ("pantograph", "current collector", "roof arm"),
    ("mud pump", "drilling fluid pump", "slush pump"),
    ("wellhead valve", "christmas tree valve", "shut-off at the well"),
    ("separator", "oil and water splitter", "settling vessel"),
    ("flow line", "production pipe", "gathering pipe"),
    ("insulator", "porcelain string", "glass disc of the line"),
    ("transformer", "voltage changer", "substation core unit"),
    ("breaker", "line switch", "interrupter"),
    ("earth wire", "ground cable", "lightning conductor"),
    ("rain gauge", "precipitation meter", "pluviometer"),
    ("wind vane", "weathercock", "wind direction sensor"),
    ("barometer", "air pressure sensor", "pressure cell"),
    ("radar mast", "antenna tower", "weather radar pole"),
    ("front camera", "windscreen lens", "forward imager"),
    ("lidar", "laser scanner", "light ranging unit"),
    ("steering motor", "power steering drive", "rack actuator"),
    ("battery pack", "accumulator", "traction cells"),
)
FAULTS: tuple[Names, ...] = (
    ("leaks", "loses fluid", "is dripping", "is not tight"),
    ("is blocked", "is clogged", "lets nothing through", "is choked"),
    ("is cracked", "shows a fissure", "has a split", "is fractured"),
    ("is overheated", "runs too hot", "has a high temperature", "is burning hot"),
    ("is loose", "wobbles", "has come unfastened", "has slack"),
    ("is missing", "is gone", "cannot be found", "is absent"),
    ("is rusty", "is corroded", "is eaten by oxide", "shows rust"),
    ("is dirty", "is covered with grime", "is soiled", "needs cleaning"),
    ("is silent", "sends no signal", "does not answer", "gives no reading"),
    ("is bent", "is deformed", "is out of shape", "is warped"),
)
OUTCOMES = (
    "production goes on", "the shift was stopped", "a crew is on its way", "no one was hurt",
    "the spare part is ordered", "it was repaired at once", "the line runs at half speed",
    "the alarm was acknowledged", "the supplier was told", "it is watched every hour",
)  # fmt: skip
SEEN_BY = (
    "the night shift", "the day shift", "an inspector", "the camera", "a driver", "the foreman",
    "a contractor", "the control room",
)  # fmt: skip
REPORTS = (
    "{site}: the {part} {fault}. Seen by {seen}; {outcome}.",
    "Report from {site}. {seen} found that the {part} {fault}; {outcome}.",
    "At {site} {seen} noted: {part} {fault}, {outcome}.",
    "The {part} in {site} {fault}, says {seen}. Now {outcome}.",
    "{outcome} at {site}, because the {part} {fault}. Told by {seen}.",
    "Fault log {site}. Part: {part}. It {fault}. Witness: {seen}. Then {outcome}.",
    "Since this morning the {part} at {site} {fault}; {outcome} ({seen}).",
)
SEARCHES = (
    "{part} {fault} {site}", "which report says that the {part} in {site} {fault}?",
    "{site}, {part} that {fault}", "find: {part} at {site} {fault}",
    "has anyone seen that a {part} {fault} in {site}?", "the {part} {fault}, at {site}",
    "reports of {site} where the {part} {fault}", "{site} {part} {fault}",
)  # fmt: skip


class Pair(NamedTuple):
    """A search and the one report that answers it, and their key."""

    key: str
    search: str
    report: str


class Samples(NamedTuple):
    """Two texts a sample, `<U` [count]. No two reports of a held-out split have the same key."""

    search: np.ndarray
    report: np.ndarray


def split_of(key: str) -> int:
    """`CARD`, `CHECK`, or another remainder for training."""
    return zlib.crc32(key.encode()) % PARTS


def _key(site: int, part: int, fault: int) -> str:
    return f"{SITES[site]}|{COMPONENTS[part][0]}|{FAULTS[fault][0]}"


def _two(draw: Random, names: Names) -> tuple[str, str]:
    """What the report calls it and what the search does; in one of four the same."""
    told, asked = draw.sample(names, 2)
    return (told, told) if draw.random() < 0.25 else (told, asked)


def _pair(draw: Random, site: int, part: int, fault: int) -> Pair:
    told_part, asked_part = _two(draw, COMPONENTS[part])
    told_fault, asked_fault = _two(draw, FAULTS[fault])
    told = {"part": told_part, "fault": told_fault, "seen": draw.choice(SEEN_BY)}
    report = draw.choice(REPORTS).format(site=SITES[site], outcome=draw.choice(OUTCOMES), **told)
    search = draw.choice(SEARCHES).format(site=SITES[site], part=asked_part, fault=asked_fault)
    return Pair(_key(site, part, fault), search, report[:1].upper() + report[1:])


def _choice(draw: Random) -> tuple[int, int, int]:
    sizes = (len(SITES), len(COMPONENTS), len(FAULTS))
    site, part, fault = (draw.randrange(size) for size in sizes)
    return site, part, fault


def group(draw: Random, size: int) -> list[Pair]:
    """Pairs for training that differ in one of the three alone: hard to tell apart."""
    while True:
        first, axis = _choice(draw), draw.randrange(3)
        pairs = []
        for other in draw.sample(range((len(SITES), len(COMPONENTS), len(FAULTS))[axis]), size):
            site, part, fault = (*first[:axis], other, *first[axis + 1 :])
            if split_of(_key(site, part, fault)) not in (CARD, CHECK):
                pairs.append(_pair(draw, site, part, fault))
        if len(pairs) >= size // 2:
            return pairs


def pairs(count: int, seed: int) -> list[Pair]:
    """Pairs of the split that `seed` belongs to; a seed of no split counts as a check."""
    draw = Random(seed)
    learnt = SPLITS.learnt_from(seed)
    split = CARD if seed == SPLITS.card else CHECK
    if count > (LEARNT_MAX if learnt else HELD_OUT_MAX):
        raise ValueError(f"there are not {count} combinations in a split")
    made: dict[str, Pair] = {}
    while len(made) < count:
        choice = _choice(draw)
        key = _key(*choice)
        mine = split_of(key) not in (CARD, CHECK) if learnt else split_of(key) == split
        if mine and key not in made:
            made[key] = _pair(draw, *choice)
    return list(made.values())


def generate(count: int, seed: int) -> Samples:
    """`count` pairs of one split, all of another key: up to 7,500 for training, 900 held out.

    Raises ValueError beyond.
    """
    made = pairs(count, seed)
    return Samples(np.array([p.search for p in made]), np.array([p.report for p in made]))
