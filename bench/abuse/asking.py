"""Asks for health on a new connection every 20 ms until SIGTERM, then prints what it saw.

python bench/abuse/asking.py HOST PORT (a process of its own: no attack can slow it down but
through the gateway and the machine)
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time

ASK = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
PAUSE_S = 0.02
TIMEOUT_S = 10.0


def ask(host: str, port: int) -> str:
    """Empty, or what went wrong."""
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S) as raw:
            raw.sendall(ASK)
            told = b""
            while piece := raw.recv(4096):
                told += piece
    except OSError as error:
        return repr(error)
    return "" if told.startswith(b"HTTP/1.1 200") else repr(told[:60])


def main() -> None:
    """Until it is stopped."""
    host, port = sys.argv[1], int(sys.argv[2])
    going = True

    def stop(_number: int, _frame: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    ms: list[float] = []
    failures: list[str] = []
    while going:
        before_s = time.perf_counter()
        failure = ask(host, port)
        if failure:
            failures.append(failure)
        else:
            ms.append((time.perf_counter() - before_s) * 1e3)
        if len(ms) + len(failures) == 1:
            print("asking", flush=True)
        time.sleep(PAUSE_S)
    print(json.dumps({"ms": ms, "failures": failures}), flush=True)


if __name__ == "__main__":
    main()
