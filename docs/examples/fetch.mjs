// JavaScript's fetch, in Node 18 or a browser: node fetch.mjs [http://127.0.0.1:8080]
// A page of another origin needs server.cors_origins to name it.

const url = process.argv[2] ?? "http://127.0.0.1:8080";

const window = { name: "window", datatype: "FP32", shape: [1, 24, 12], data: Array(288).fill(100) };
const inferred = await fetch(`${url}/v2/models/blast-furnace/infer`, {
  method: "POST",
  headers: { "content-type": "application/json", "x-nearway-origin": "Wuhu" },
  body: JSON.stringify({ inputs: [window] }),
});
if (!inferred.ok) throw new Error((await inferred.json()).error);
console.log((await inferred.json()).outputs.map((output) => output.name).join(" "));
console.log("answered by", inferred.headers.get("x-nearway-center"));

const chat = await fetch(`${url}/v1/chat/completions`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({
    model: "industry-chat",
    messages: [{ role: "user", content: "What is a tuyere?" }],
    temperature: 0,
    stream: true,
  }),
});
if (!chat.ok) throw new Error((await chat.json()).error.message);

let rest = "";
let text = "";
for await (const bytes of chat.body.pipeThrough(new TextDecoderStream())) {
  const events = (rest + bytes).split("\n\n");
  rest = events.pop();
  for (const event of events) {
    const told = event.replace(/^data: /, "");
    if (told === "[DONE]") continue;
    text += JSON.parse(told).choices[0]?.delta.content ?? "";
  }
}
console.log(text);
