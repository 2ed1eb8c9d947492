#!/bin/sh
# An inference, a chat and a stream with curl: sh curl.sh [http://127.0.0.1:8080]
set -eu
url=${1:-http://127.0.0.1:8080}
json='content-type: application/json'

# A window of 24 readings from 12 sensors, all of them 100.
row='100,100,100,100,100,100,100,100,100,100,100,100'
rows=$(for _ in $(seq 24); do printf '%s,' "$row"; done)
printf '{"inputs":[{"name":"window","datatype":"FP32","shape":[1,24,12],"data":[%s]}]}' "${rows%,}" |
    curl -sS --fail-with-body -H "$json" -H 'x-nearway-origin: Wuhu' --data @- \
        "$url/v2/models/blast-furnace/infer"
echo

question='"messages": [{"role": "user", "content": "What is a tuyere?"}], "temperature": 0'
curl -sS --fail-with-body -H "$json" -d "{\"model\": \"industry-chat\", $question}" \
    "$url/v1/chat/completions"
echo
curl -sSN --fail-with-body -H "$json" \
    -d "{\"model\": \"industry-chat\", \"stream\": true, $question}" "$url/v1/chat/completions"
