"""The simulator: the live gateway's own objects over emulated centers, in virtual time."""

from gateway.simulation.bounds import Bound, Bounds, bounds
from gateway.simulation.event_mode import simulate
from gateway.simulation.fluid import FluidRun, simulate_fluid
from gateway.simulation.oracle import oracle
from gateway.simulation.run import Run
from gateway.simulation.scenario import Scenario
from gateway.simulation.scenario_files import load_scenario, scenario_names

__all__ = [
    "Bound",
    "Bounds",
    "FluidRun",
    "Run",
    "Scenario",
    "bounds",
    "load_scenario",
    "oracle",
    "scenario_names",
    "simulate",
    "simulate_fluid",
]
