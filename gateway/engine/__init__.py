"""ONNX models: the repository, sessions, and where a run takes place."""

from gateway.engine.adding import Added, add_model
from gateway.engine.batching import Batching, join, part
from gateway.engine.check import Checked, Finding, check_models, check_repository
from gateway.engine.cold_models import ColdModel
from gateway.engine.first_card import looks_like, shape_text
from gateway.engine.loaded_model import LoadedModel
from gateway.engine.model_config import ModelConfig, Service
from gateway.engine.repository import ModelRepository, NotYetLoaded
from gateway.engine.response_cache import CacheCounts, ResponseCache, key_of
from gateway.engine.runner import CancelRun, OnDone, Runner
from gateway.engine.triton_config import triton_config

__all__ = [
    "Added",
    "Batching",
    "CacheCounts",
    "CancelRun",
    "Checked",
    "ColdModel",
    "Finding",
    "LoadedModel",
    "ModelConfig",
    "ModelRepository",
    "NotYetLoaded",
    "OnDone",
    "ResponseCache",
    "Runner",
    "Service",
    "add_model",
    "check_models",
    "check_repository",
    "join",
    "key_of",
    "looks_like",
    "part",
    "shape_text",
    "triton_config",
]
