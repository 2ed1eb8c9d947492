"""A bare loop around onnxruntime: what the model alone costs, and the servers' ratios' base.

    python -m bench.peers.bare MODEL_FILE SECONDS

One process, one session, one tensor that is made once; CPU µs a run is printed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.peers.measuring import Load
from gateway.measure.cores import Cores, on

ROW = "bare onnxruntime loop"
LOAD = Load(0)
"""It has no connections."""
BLOCK = 500
ROOT = Path(__file__).resolve().parents[2]


def measured_us(model: Path, seconds: float, cores: Cores) -> float:
    """CPU µs a run, in a process of its own on ``cores``."""
    command = [sys.executable, "-m", "bench.peers.bare", str(model.resolve()), str(seconds)]
    with on(cores):
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(ended.stdout.split()[-1])


def loop_us(model: Path, seconds: float) -> float:
    """Run the model for ``seconds``, after as many blocks of warm-up as fit into a tenth."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    given = {"x": np.ones((1, 64), dtype=np.float32)}
    runs, until_s = 0, time.monotonic() + seconds / 10
    while time.monotonic() < until_s:
        session.run(None, given)
    started_s, until_s = time.process_time(), time.monotonic() + seconds
    while time.monotonic() < until_s:
        for _ in range(BLOCK):
            session.run(None, given)
        runs += BLOCK
    return (time.process_time() - started_s) / runs * 1e6


if __name__ == "__main__":
    print(loop_us(Path(sys.argv[1]), float(sys.argv[2])))
