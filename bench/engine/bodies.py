"""Requests with binary tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.api import NdArray

Inputs = Mapping[str, NdArray]

DATATYPES = {"f4": "FP32", "f2": "FP16", "f8": "FP64", "i8": "INT64", "i4": "INT32", "i1": "INT8"}


def binary_body(inputs: Inputs) -> tuple[bytes, int]:
    """(body, length of its head)."""
    tensors = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": DATATYPES[array.dtype.str[1:]],
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in inputs.items()
    ]
    document = {"inputs": tensors, "parameters": {"binary_data_output": True}}
    head = json.dumps(document).encode()
    return head + b"".join(array.tobytes() for array in inputs.values()), len(head)
