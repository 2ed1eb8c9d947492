"""The messages of all that is served here, as classes made from ``inference.binpb``.

They live in a descriptor pool of their own. Any other package with the same protocol, a client of
Triton's in this process for one, would be refused by the default pool as a second definition,
or we by it. Classes made from descriptors also fit every version of protobuf there is, where
generated code demands the one that it was generated for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DESCRIPTORS = Path(__file__).with_name("inference.binpb")
PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"


def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        pool.Add(file)
    return pool


POOL = _pool()


def message(name: str, package: str = PACKAGE) -> Any:
    """The class of a message. Raises KeyError."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{package}.{name}"))


ModelInferRequest = message("ModelInferRequest")
ModelInferResponse = message("ModelInferResponse")
ModelStreamInferResponse = message("ModelStreamInferResponse")
InferTensorContents = message("InferTensorContents")
