"""Train `clip-maker`: eight frames from a caption.

Words, in their order, become a wish; the wish and the noise set the weights of a small function
from a place and an instant to a colour, which is then asked for every pixel of every frame. So a
shape that moves is an input that shifts. Training asks for a few hundred random points of a clip
at a time and not for whole clips.
"""

from __future__ import annotations

import clip_maker_plant as plant
import clip_maker_viewer as viewer
import export
import fit
import numpy as np
import torch
from torch import Tensor, nn
from training import Figure, Training, share

NAME = "clip-maker"
CHUNK = 1_000
HELD_OUT_COUNT = 1_500
TARGET, STOP_AT = 0.95, 0.985
WIDTH, POINTS = 64, 320
NOTES = (
    f"{HELD_OUT_COUNT:,} captions of a seed not trained on, all of them asking for combinations of "
    "colour, shape and direction that were never trained on. A fixed measuring rule "
    "(`clip_maker_viewer.py`, not learnt) tells colour, shape and direction from the frames; the "
    "ceiling is what it tells from the generator's own clips. The naive answer is the clip of "
    "another caption."
)


class Network(nn.Module):
    """Caption and noise to a clip."""

    points: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(plant.VOCABULARY), 48)
        self.read = nn.Sequential(
            nn.Conv1d(48, 96, 3, padding=1), nn.ReLU(), nn.Conv1d(96, 96, 3, padding=1), nn.ReLU()
        )
        self.wish = nn.Sequential(
            nn.Linear(96 + plant.NOISES, 192), nn.ReLU(), nn.Linear(192, 192), nn.ReLU()
        )
        self.enter = nn.Linear(192, 4 * WIDTH)
        self.stretch = nn.Linear(192, 2 * WIDTH)
        self.shift = nn.Linear(192, 2 * WIDTH)
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.leave = nn.Linear(WIDTH, 3)
        self.paint = nn.Linear(192, 6)
        self.register_buffer("points", _every_point())

    def at(self, caption: Tensor, noise: Tensor, points: Tensor) -> Tensor:
        """Colours [n, p, 3] at the points [p, 4] of place, time and one."""
        read = self.read(self.words(caption).transpose(1, 2)).amax(dim=2)
        wish = self.wish(torch.cat((read, noise), dim=1))
        entry = self.enter(wish).view(-1, 4, WIDTH)
        stretch = (1 + self.stretch(wish)).view(-1, 2, 1, WIDTH)
        shift = self.shift(wish).view(-1, 2, 1, WIDTH)
        seen = torch.relu(points @ entry)
        seen = torch.relu(self.first(seen) * stretch[:, 0] + shift[:, 0])
        seen = torch.relu(self.second(seen) * stretch[:, 1] + shift[:, 1])
        colours = self.leave(seen) + self.paint(wish)[:, None, :3]
        return torch.sigmoid(colours)

    def forward(self, caption: Tensor, noise: Tensor) -> Tensor:
        seen = self.at(caption, noise, self.points)
        frames = seen.view(-1, plant.FRAMES, plant.SIDE_PX, plant.SIDE_PX, 3)
        return frames.permute(0, 1, 4, 2, 3)


def _every_point() -> Tensor:
    """Place, time and one for every pixel of every frame, [p, 4], in the order of a clip."""
    grids = np.meshgrid(plant._times(), plant._AXIS, plant._AXIS, indexing="ij")
    when, y, x = (grid.ravel() for grid in grids)
    return torch.from_numpy(np.stack((x, y, when, np.ones_like(x)), axis=1))


def train() -> None:
    fit.start(plant.SPLITS.train[0])
    chunks = [plant.wishes(CHUNK, seed) for seed in plant.SPLITS.train]
    scene = plant.Scene(
        *(np.concatenate(part) for part in zip(*(c.scene for c in chunks), strict=True))
    )
    caption = torch.from_numpy(np.concatenate([chunk.caption for chunk in chunks]))
    noise = torch.from_numpy(np.concatenate([chunk.noise for chunk in chunks]))
    held_back = plant.wishes(500, plant.SPLITS.stop[0])
    network = Network()
    rng = np.random.default_rng(plant.SPLITS.train[0])

    def loss(caption: Tensor, noise: Tensor, index: Tensor) -> Tensor:
        x, y, when = rng.uniform(-1, 1, (3, POINTS)).astype(np.float32)
        chosen = plant.Scene(*(values[index.numpy()] for values in scene))
        wanted = torch.from_numpy(plant.render(chosen, x, y, when)).transpose(1, 2)
        points = torch.from_numpy(np.stack((x, y, when, np.ones_like(x)), axis=1))
        return nn.functional.mse_loss(network.at(caption, noise, points), wanted) * 10

    def good_enough() -> bool:
        with torch.no_grad():
            pieces = zip(
                torch.from_numpy(held_back.caption).split(100),
                torch.from_numpy(held_back.noise).split(100),
                strict=True,
            )
            clip = torch.cat([network(*piece) for piece in pieces]).numpy()
        right = (viewer.recognise(clip) == held_back.asked).mean(axis=0)
        print(f"  recognised of the stopping captions: {right.round(3)}", flush=True)
        return bool(right.min() >= STOP_AT)

    tensors = (caption, noise, torch.arange(len(caption)))
    fit.fit(
        network, tensors, loss, epochs=14, batch=64, peak_rate=2e-3, decay=1e-4, until=good_enough
    )
    card = plant.wishes(64, plant.SPLITS.card)
    inputs = {"caption": card.caption, "noise": card.noise}
    print(f"the example asks: {card.text[0]}")
    doc = "A short clip of a moving shape from a caption."
    path = export.write_onnx(network, inputs, ("clip",), NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    export.write_labels(NAME, "vocabulary.txt", plant.VOCABULARY)
    export.write_example(NAME, inputs, ".3f")


def measure(seed: int) -> list[Figure]:
    """How often colour, shape and direction are recognised, and how far the pixels are off."""
    held_out = plant.generate(HELD_OUT_COUNT, seed)
    path = export.MODELS / NAME / "1" / "model.onnx"
    made = [
        export.run(path, {"caption": words, "noise": noise})["clip"]
        for words, noise in zip(
            np.split(held_out.caption, 15), np.split(held_out.noise, 15), strict=True
        )
    ]
    clip = np.concatenate(made)
    clips = (clip, np.roll(held_out.clip, 1, axis=0), held_out.clip)
    told = [viewer.recognise(frames) == held_out.asked for frames in clips]
    figures = [
        Figure(
            metric=f"{aspect} recognised",
            ours=float(told[0][:, column].mean()),
            naive=float(told[1][:, column].mean()),
            floor=float(told[2][:, column].mean()),
            target=TARGET,
            unit="%",
            digits=1,
        )
        for column, aspect in enumerate(("colour", "shape", "direction"))
    ]
    off = [float(np.abs(frames - held_out.clip).mean()) for frames in clips]
    return [
        *figures,
        share("all three recognised", *(float(t.all(axis=1).mean()) for t in told)),
        Figure(metric="mean difference of a pixel", ours=off[0], naive=off[1], floor=off[2]),
    ]


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="another caption's clip",
        floor="ceiling",
        notes=NOTES,
        sources=("clip_maker_viewer",),
        minutes=3.5,
    ),
)
