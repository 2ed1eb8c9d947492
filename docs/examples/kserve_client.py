"""KServe's client: pip install kserve; python kserve_client.py [http://127.0.0.1:8080]"""

import asyncio
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"


async def main() -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    print("ready", await client.is_server_ready(url))
    window = InferInput("window", [1, 24, 12], "FP32")
    window.set_data_from_numpy(np.full((1, 24, 12), 100, np.float32), binary_data=False)
    answer = await client.infer(
        url,
        InferRequest("blast-furnace", [window]),
        headers={"x-nearway-origin": "Wuhu"},
        model_name="blast-furnace",
    )
    for output in answer.outputs:
        print(output.name, output.shape)
    await client.close()


asyncio.run(main())
