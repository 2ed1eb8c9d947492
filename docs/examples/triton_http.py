"""Triton's client over HTTP: pip install 'tritonclient[http]'; python triton_http.py [host:port]"""

import sys

import numpy as np
import tritonclient.http as triton

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8080"
client = triton.InferenceServerClient(address)
print(client.get_model_metadata("blast-furnace")["outputs"])

window = triton.InferInput("window", [2, 24, 12], "FP32")
window.set_data_from_numpy(np.full((2, 24, 12), 100, np.float32))  # as bytes behind the JSON
answer = client.infer("blast-furnace", [window], headers={"x-nearway-origin": "Wuhu"})
print("temperature_c", answer.as_numpy("temperature_c").round(1))
client.close()
