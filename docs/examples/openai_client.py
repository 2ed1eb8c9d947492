"""OpenAI's own client: pip install openai; python openai_client.py [http://127.0.0.1:8080]"""

import sys

from openai import OpenAI

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
client = OpenAI(base_url=f"{url}/v1", api_key="none")

print([model.id for model in client.models.list()])

stream = client.chat.completions.create(
    model="industry-chat",
    messages=[{"role": "user", "content": "What is a tuyere?"}],
    temperature=0,
    stream=True,
    stream_options={"include_usage": True},
)
for event in stream:
    if event.choices:
        print(event.choices[0].delta.content or "", end="", flush=True)
    elif event.usage:
        print(f"\n{event.usage.completion_tokens} tokens")

texts = ["the feed pump leaks", "the feed pump is leaking", "voltage is low at the bus"]
vectors = [one.embedding for one in client.embeddings.create(model="text-embed", input=texts).data]
near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
print(f"alike {near:.2f}, unlike {far:.2f}")
