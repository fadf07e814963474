#!/usr/bin/env bash
# Starts one server per GPU of this machine, plays a run on all of them, and stops the servers.
#
#     ./one-machine.sh chats.yaml --n 1000
#     GPUS="0 1" SERVER="llama-server -m model.gguf -c 65536 --parallel 16" ./one-machine.sh chats.yaml
#
# The arguments are those of `convogen run`. SERVER is the command of a server; --port is appended.
# GPUS lists the GPU numbers, PORT is the first port, and LOGS is the folder for server output.
set -euo pipefail

SERVER=${SERVER:-vllm serve Qwen/Qwen3-8B --served-model-name chat-model --max-model-len 16384}
GPUS=${GPUS:-$(nvidia-smi --query-gpu=index --format=csv,noheader)}
PORT=${PORT:-8001}
LOGS=${LOGS:-logs}

mkdir -p "$LOGS"
read -ra command <<<"$SERVER"
servers=() ports=() places=()
trap 'kill "${servers[@]}" 2>/dev/null || true; wait' EXIT

for gpu in $GPUS; do
    port=$((PORT + ${#ports[@]}))
    CUDA_VISIBLE_DEVICES=$gpu "${command[@]}" --port "$port" >"$LOGS/server-$port.log" 2>&1 &
    servers+=($!) ports+=("$port") places+=(--base-url "http://127.0.0.1:$port/v1")
done

for at in "${!ports[@]}"; do # loading a model takes minutes
    until curl --silent --fail --output /dev/null "http://127.0.0.1:${ports[at]}/health"; do
        if ! kill -0 "${servers[at]}" 2>/dev/null; then
            echo "a server ended before it was ready: see $LOGS/server-${ports[at]}.log" >&2
            exit 1
        fi
        sleep 1
    done
done

convogen run "$@" "${places[@]}"
