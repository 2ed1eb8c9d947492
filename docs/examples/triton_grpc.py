"""Triton's client over gRPC: pip install 'tritonclient[grpc]'; python triton_grpc.py [host:port]

The gateway has that door when it is started with --grpc-port 8001.
"""

import queue
import sys

import numpy as np
import tritonclient.grpc as triton

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8001"
client = triton.InferenceServerClient(address)

window = triton.InferInput("window", [1, 24, 12], "FP32")
window.set_data_from_numpy(np.full((1, 24, 12), 100, np.float32))
answer = client.infer("blast-furnace", [window], headers={"x-nearway-origin": "Wuhu"})
print("temperature_c", answer.as_numpy("temperature_c").round(1))

told: queue.Queue = queue.Queue()
client.start_stream(lambda result, error: told.put(error or result))
for number in range(3):  # many windows over one call, answered as they are ready
    client.async_stream_infer("blast-furnace", [window], request_id=str(number))
for _ in range(3):
    one = told.get(timeout=10)
    print("window", one.get_response().id, one.as_numpy("temperature_c").round(1))
client.stop_stream()
client.close()
