"""What `industry-chat` is taught: the sample models, the words of six industries, limits, actions.

All of it is made up or generally known, and kept simple. Sentences are the answers word for word.
"""

from __future__ import annotations

from typing import NamedTuple


class Limit(NamedTuple):
    """A reading that is judged: below `low` one word, at `high` and above another.

    What is drawn lies half a step beside multiples of `step` from `low`, so never at a limit.
    """

    quantity: str
    unit: str
    low: int
    high: int
    words: tuple[str, str, str]
    drawn: tuple[int, int]
    step: int


class Plant(NamedTuple):
    """Where faults are reported from, what breaks, how, and what is done by severity."""

    sites: tuple[str, ...]
    parts: tuple[str, ...]
    faults: tuple[str, ...]
    actions: tuple[str, str, str]


MODEL_ASPECTS = ("task", "industry", "reads", "gives", "class", "measure", "baseline", "limit")
MODELS: dict[str, tuple[str, ...]] = {
    "blast-furnace": (
        "forecasts the hot metal of a blast furnace two hours ahead",
        "steel",
        "a day of twelve furnace sensors, one row an hour",
        "hot-metal temperature, silicon and the state cold, normal or hot",
        "A",
        "the share of forecasts within 10 degrees",
        "repeating the last reading",
        "steering a furnace",
    ),
    "rail-inspection": (
        "finds faults on parts of passing trains",
        "railways",
        "a grey picture and the station that took it",
        "a fault label and a heat map",
        "A",
        "faults found at one percent false alarm",
        "the nearest mean picture",
        "releasing a train",
    ),
    "seismic-fault": (
        "marks geological faults in a seismic section",
        "oil and gas",
        "a seismic section of 64 by 64 samples",
        "a mask of the faults",
        "B",
        "the overlap of mask and truth",
        "an edge filter",
        "placing a well",
    ),
    "well-log": (
        "names the rock along a borehole",
        "oil and gas",
        "a window of 33 depths and five curves",
        "facies and porosity",
        "A",
        "the share of depths named rightly",
        "the most frequent rock",
        "booking reserves",
    ),
    "grid-load": (
        "forecasts the load of a power grid for the next day",
        "power",
        "a week of hourly load and a weather forecast",
        "the load of the next 24 hours",
        "A",
        "the mean absolute error in percent",
        "repeating the same day of last week",
        "scheduling generation",
    ),
    "line-inspection": (
        "judges insulators on pictures of power lines",
        "power",
        "a colour picture of 128 by 128 points",
        "the state of the insulator and a box around it",
        "A",
        "the share of states named rightly",
        "the most frequent state",
        "releasing a line",
    ),
    "weather-mini": (
        "moves a weather map six hours ahead",
        "weather",
        "two past maps of five variables and four fixed maps",
        "the same five variables six hours later",
        "B",
        "the error weighted by latitude",
        "assuming that nothing changes",
        "warning the public",
    ),
    "cockpit-intent": (
        "understands what a driver asks of the car",
        "cars",
        "the tokens of a spoken sentence",
        "an intent and its slots",
        "A",
        "the share of intents named rightly",
        "counting keywords",
        "commands that matter for safety",
    ),
    "driving-path": (
        "proposes the path of a car for three seconds",
        "cars",
        "a map seen from above and the state of the car",
        "twelve waypoints",
        "A",
        "the mean distance to the path driven",
        "keeping speed and turn",
        "driving a car",
    ),
    "industry-chat": (
        "answers questions about the sample models",
        "language",
        "the tokens of a chat",
        "the next token of the answer",
        "B",
        "the share of answers that are right word for word",
        "the answer to the most similar question",
        "advice on a real plant",
    ),
    "code-assist": (
        "continues programs of a small plant language",
        "software",
        "the tokens of a program so far",
        "the next token of the program",
        "B",
        "the share of programs that keep to the grammar",
        "a model of three tokens",
        "code that controls a plant",
    ),
    "text-embed": (
        "turns a text into a vector for search",
        "language",
        "the tokens of a text",
        "a vector of length one",
        "A",
        "how often the right report comes first",
        "search by shared words",
        "legal search",
    ),
    "clip-maker": (
        "draws a short clip from a caption",
        "media",
        "the tokens of a caption",
        "eight frames of 32 by 32 points",
        "C",
        "the share of clips whose content is recognised",
        "a random clip",
        "publication",
    ),
}
CLASS_MEANINGS = {
    "A": "within 10 ms",
    "B": "within 50 ms",
    "C": "from a queue",
}

TERM_ASPECTS = ("meaning", "field")
TERMS: dict[str, tuple[str, str]] = {
    "tuyere": ("a nozzle that blows hot air into the furnace", "steel"),
    "burden": ("the ore and coke charged at the top of the furnace", "steel"),
    "slag": ("the molten waste that floats on the metal", "steel"),
    "hearth": ("the bottom of the furnace where the metal collects", "steel"),
    "coke": ("coal baked without air, fuel and support of the furnace", "steel"),
    "casthouse": ("the hall where the metal is tapped", "steel"),
    "top gas": ("the gas that leaves the furnace at the top", "steel"),
    "taphole": ("the opening through which the metal is let out", "steel"),
    "bogie": ("the frame that carries the wheels of a car", "railways"),
    "coupler": ("the part that joins two cars", "railways"),
    "pantograph": ("the arm that takes current from the wire", "railways"),
    "axle box": ("the housing of the bearing at the end of an axle", "railways"),
    "brake pad": ("the part that is pressed on the disc to stop the wheel", "railways"),
    "sleeper": ("the beam that holds the rails apart", "railways"),
    "switch": ("the place where a train changes tracks", "railways"),
    "flange": ("the rim that keeps the wheel on the rail", "railways"),
    "porosity": ("the share of a rock that is empty space", "oil and gas"),
    "facies": ("a kind of rock told by how it was laid down", "oil and gas"),
    "borehole": ("a hole drilled into the ground", "oil and gas"),
    "gamma ray log": ("a curve of natural radiation along a borehole", "oil and gas"),
    "horizon": ("a surface that reflects sound between two layers", "oil and gas"),
    "reservoir": ("a rock that holds oil or gas", "oil and gas"),
    "shale": ("a dense rock of hardened mud", "oil and gas"),
    "casing": ("the steel pipe that lines a well", "oil and gas"),
    "insulator": ("the part that holds a wire and carries no current", "power"),
    "transformer": ("a machine that changes the voltage", "power"),
    "busbar": ("a thick conductor that joins many lines", "power"),
    "peak load": ("the largest demand of a day", "power"),
    "frequency": ("how often the voltage swings in a second", "power"),
    "reserve": ("generation that stands by for a failure", "power"),
    "breaker": ("a switch that opens a line under load", "power"),
    "pylon": ("the tower that carries the wires", "power"),
    "front": ("the border between cold and warm air", "weather"),
    "humidity": ("how much water the air holds", "weather"),
    "geopotential": ("the energy needed to lift air to a height", "weather"),
    "trough": ("a long region of low pressure", "weather"),
    "gust": ("a short strong burst of wind", "weather"),
    "rollout": ("a forecast fed with its own last step", "weather"),
    "reanalysis": ("past weather computed anew from all measurements", "weather"),
    "squall": ("a sudden storm with strong wind", "weather"),
    "waypoint": ("a point that the car is to pass", "cars"),
    "ego": ("the car that carries the sensors", "cars"),
    "slot": ("a detail of a request such as a number or a place", "cars"),
    "intent": ("what a speaker wants to be done", "cars"),
    "lidar": ("a sensor that measures distance with light", "cars"),
    "yaw": ("the turn of a car around its upright axis", "cars"),
    "lane": ("the strip of road for one row of cars", "cars"),
    "odometer": ("the counter of the distance driven", "cars"),
}

LIMITS = (
    Limit("hot metal", "°C", 1480, 1520, ("cold", "normal", "hot"), (1400, 1600), 4),
    Limit("top gas", "°C", 120, 250, ("cold", "normal", "hot"), (60, 320), 6),
    Limit("blast pressure", "kPa", 320, 420, ("low", "normal", "high"), (250, 500), 6),
    Limit("axle bearing", "°C", 20, 90, ("cold", "normal", "hot"), (10, 150), 2),
    Limit("brake disc", "°C", 80, 400, ("cold", "normal", "hot"), (20, 600), 10),
    Limit("grid load", "MW", 6000, 12000, ("low", "normal", "high"), (3000, 15000), 200),
    Limit("line voltage", "kV", 210, 236, ("low", "normal", "high"), (190, 250), 2),
    Limit("transformer oil", "°C", 30, 86, ("cold", "normal", "hot"), (10, 120), 2),
    Limit("well pressure", "bar", 180, 350, ("low", "normal", "high"), (100, 450), 6),
    Limit("wind speed", "km/h", 12, 62, ("calm", "normal", "stormy"), (10, 130), 2),
    Limit("air pressure", "hPa", 1000, 1024, ("low", "normal", "high"), (960, 1050), 2),
    Limit("battery charge", "%", 15, 91, ("low", "normal", "full"), (10, 99), 2),
)

PLANTS: dict[str, Plant] = {
    "steel": Plant(
        ("furnace one", "furnace two", "furnace five", "the north stove", "the casthouse"),
        ("tuyere", "taphole", "cooling plate", "hot blast valve", "skip hoist", "slag runner"),
        ("leaking", "blocked", "cracked", "burnt through", "worn", "overheated"),
        ("watch it through the shift", "reduce the blast", "take the furnace off blast"),
    ),
    "railways": Plant(
        ("Wuhu station", "Bengbu station", "track nine", "the east yard", "car fourteen"),
        ("axle bearing", "brake pad", "coupler pin", "bogie bolt", "air hose", "wheel flange"),
        ("loose", "missing", "cracked", "worn", "overheated", "deformed"),
        ("check it at the next stop", "slow the train and check it", "stop the train"),
    ),
    "oil and gas": Plant(
        ("well seven", "well twelve", "the gas plant", "pump house three", "the tank farm"),
        (
            "mud pump",
            "drill string",
            "wellhead valve",
            "separator",
            "flow line",
            "blowout preventer",
        ),
        ("leaking", "blocked", "corroded", "vibrating", "stuck", "worn"),
        ("note it in the log", "reduce the flow", "shut the well in"),
    ),
    "power": Plant(
        ("line forty", "the south substation", "tower eighteen", "bay six", "the river crossing"),
        ("insulator", "damper", "transformer", "breaker", "earth wire", "clamp"),
        ("broken", "missing", "dirty", "overheated", "loose", "corroded"),
        ("plan a visit", "send a crew today", "switch the line off"),
    ),
    "weather": Plant(
        ("the airport", "the hill station", "buoy three", "the harbour", "the radar tower"),
        ("rain gauge", "wind vane", "barometer", "humidity sensor", "data logger", "mast"),
        ("frozen", "drifting", "silent", "bent", "flooded", "blocked"),
        ("flag its data", "ignore its data", "replace it at once"),
    ),
    "cars": Plant(
        ("test car two", "shuttle five", "taxi eleven", "the depot", "bus thirty"),
        ("front camera", "lidar unit", "steering motor", "wheel sensor", "battery pack", "antenna"),
        ("dirty", "misaligned", "silent", "overheated", "loose", "noisy"),
        ("clean it tonight", "drive by hand", "park the car"),
    ),
}
SEVERITIES = ("note", "warning", "alarm")

READINGS: tuple[tuple[str, str], ...] = (
    ("pressure", "kPa"),
    ("temperature", "°C"),
    ("flow", "m3/h"),
    ("level", "cm"),
    ("speed", "km/h"),
    ("voltage", "kV"),
    ("current", "A"),
    ("power", "MW"),
    ("humidity", "%"),
    ("vibration", "mm/s"),
    ("depth", "m"),
    ("torque", "Nm"),
)

OFF_TOPICS = (
    "the stock market", "football", "a poem", "the president", "cooking rice", "love", "chess",
    "the moon landing", "medicine", "a holiday in Spain", "music", "the law", "dinosaurs", "films",
    "my homework", "religion", "fashion", "quantum physics", "gardening", "history", "a birthday",
)  # fmt: skip
