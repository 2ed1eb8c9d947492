"""A model's configuration in the form of Triton's model configuration extension."""

from __future__ import annotations

from typing import Any

from gateway.api import TensorSpec
from gateway.engine.ensemble_config import Ensemble
from gateway.engine.loaded_model import MODEL_FILE, LoadedModel
from gateway.engine.model_config import Versions


def triton_config(model: LoadedModel) -> dict[str, Any]:
    """Triton's ``ModelConfig`` as a JSON-ready dict; dims without the batch where there is one.

    ``dynamic_batching`` where requests of one turn share a run; none ever waits for another.
    """
    config = model.config
    batching, ensemble = config.max_batch_size > 0, config.ensemble
    sharing = model.batching.rows_max
    dynamic = {"preferred_batch_size": [sharing], "max_queue_delay_microseconds": 0}
    return {
        **({"dynamic_batching": dynamic} if sharing > 1 else {}),
        **({"response_cache": {"enable": True}} if config.response_cache.enable else {}),
        "name": model.name,
        "platform": model.metadata.platform,
        **(_scheduling(ensemble) if ensemble is not None else {"backend": "onnxruntime"}),
        "version_policy": _version_policy(config.versions),
        "max_batch_size": config.max_batch_size,
        "input": [
            {**_tensor(spec, batching=batching), "format": "FORMAT_NONE", "optional": spec.optional}
            for spec in model.metadata.inputs
        ],
        "output": [
            {
                **_tensor(spec, batching=batching),
                "label_filename": config.labels.get(spec.name, ""),
            }
            for spec in model.metadata.outputs
        ],
        "instance_group": [{"name": model.name, "kind": "KIND_CPU", "count": 1, "gpus": []}],
        "default_model_filename": MODEL_FILE,
        "parameters": {
            "latency_class": {"string_value": config.latency_class},
            "description": {"string_value": config.description},
        },
    }


def _scheduling(ensemble: Ensemble) -> dict[str, Any]:
    steps = [
        {
            "model_name": step.model,
            "model_version": step.version or -1,
            "input_map": step.inputs,
            "output_map": step.outputs,
        }
        for step in ensemble.step
    ]
    return {"ensemble_scheduling": {"step": steps}}


def _version_policy(versions: Versions) -> dict[str, Any]:
    if versions.latest:
        return {"latest": {"num_versions": versions.latest}}
    if versions.only:
        return {"specific": {"versions": list(versions.only)}}
    return {"all": {}}


def _tensor(spec: TensorSpec, *, batching: bool) -> dict[str, Any]:
    datatype = "STRING" if spec.datatype == "BYTES" else spec.datatype
    dims = spec.shape[1:] if batching and spec.shape[:1] == (-1,) else spec.shape
    return {"name": spec.name, "data_type": f"TYPE_{datatype}", "dims": list(dims)}
