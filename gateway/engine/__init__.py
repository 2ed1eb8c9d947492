"""ONNX models: the repository, sessions, and where a run takes place."""

from gateway.engine.batching import Batching, join, part
from gateway.engine.check import Finding, check_repository
from gateway.engine.cold_models import ColdModel
from gateway.engine.loaded_model import LoadedModel
from gateway.engine.model_config import ModelConfig, Service
from gateway.engine.repository import ModelRepository, NotYetLoaded
from gateway.engine.runner import CancelRun, OnDone, Runner
from gateway.engine.triton_config import triton_config

__all__ = [
    "Batching",
    "CancelRun",
    "ColdModel",
    "Finding",
    "LoadedModel",
    "ModelConfig",
    "ModelRepository",
    "NotYetLoaded",
    "OnDone",
    "Runner",
    "Service",
    "check_repository",
    "join",
    "part",
    "triton_config",
]
