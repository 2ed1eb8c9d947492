"""The model in MLServer: a custom runtime, run in its own process without a worker."""

from __future__ import annotations

import session
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Mlp(MLModel):
    """One tensor in, one out, by MLServer's own codec."""

    async def load(self) -> bool:
        """Once, at the start."""
        self._run = session.load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One request."""
        x = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("y", self._run(x))
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])
