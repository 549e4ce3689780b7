#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`tenon load` on a running server: every scenario, its files, its exit codes, and that nothing stays behind.

usage: load_test.py SOURCE_DIR BUILD_DIR. Asserts what was counted, never how long it took.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

source, build = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
folder = tempfile.TemporaryDirectory(prefix="tenon-load-test-")
scratch = pathlib.Path(folder.name)
data = scratch / "data"
SATURATED, WORSE, USAGE = 5, 6, 2


def check(what, good, seen=""):
    if not good:
        raise SystemExit(f"{what}\n{seen}")


def tenon(*words, codes=(0,)):
    done = subprocess.run([build / "bin/tenon", *map(str, words)], capture_output=True, text=True, check=False)
    check(f"tenon {' '.join(map(str, words))}: exit {done.returncode}, expected {codes}", done.returncode in codes,
          done.stdout + done.stderr)
    return done.stdout


# The machine may be busy: then a result says that its generator was, which is no error here.
def load(*words):
    out = tenon("load", *words, "--data-dir", data, "--json", "--quiet", "--seed", 7, "--warmup", 0.1,
                codes=(0, SATURATED))
    return json.loads(out)


def start():
    process = subprocess.Popen(
        [build / "bin/tenond", "--deployment", source / "etc/deployments/benchmark.json", "--data-dir", data,
         "--listen", "127.0.0.1:0"], stdout=open(scratch / "log", "w"), stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            address = (data / "listen").read_text().strip()
            urllib.request.urlopen(f"http://{address}/readyz")
            return process, address
        except OSError:
            time.sleep(0.05)
    raise SystemExit((scratch / "log").read_text())


def books(result, scenario):
    requests = result["requests"]
    check(f"{scenario}: planned is not answered + never sent + unanswered",
          requests["planned"] == requests["answered"] + requests["never_sent"] + requests["unanswered"], requests)
    check(f"{scenario}: errors", requests["errors"] == 0 and requests["planned"] > 0, result)
    check(f"{scenario}: the latency counts what was planned", result["latency_us"]["count"] == requests["planned"], result)
    return {one["name"] for one in result["operations"]}


def scenarios(address):
    names = books(load("market-data", "--rate", 200, "--duration", 1, "--out", scratch / "a.json",
                       "--html", scratch / "a.html"), "market-data")
    check("market-data: what was asked", {"depth", "klines", "trades", "ticker/price"} <= names, names)
    check("orders: what was asked",
          {"place", "cancel"} == books(load("orders", "--rate", 100, "--duration", 1, "--users", 4), "orders"))
    # More users than an account may have open orders: accounts of their own.
    check("mixed: what was asked", {"place", "depth"} <= books(
        load("mixed", "--rate", 50, "--times", 10, "--duration", 1, "--users", 250), "mixed"))
    books(load("get", "--path", "/healthz", "--rate", "max", "--duration", 0.3, "--users", 2), "get")
    delivered = load("fanout", "--users", 3, "--duration", 2)
    check("fanout: trades arrive", {"delivery", "spread"} <= {one["name"] for one in delivered["operations"]}, delivered)
    page = (scratch / "a.html").read_text()
    check("the page", page.startswith("<!doctype html>") and "<polyline" in page)
    tenon("load", "page", scratch / "a.json", scratch / "b.html")
    check("the page of a stored result", (scratch / "b.html").read_text() == page)


def comparisons(address):
    tenon("load", "compare", scratch / "a.json", scratch / "a.json")
    # Samples of a quiet machine: those of a busy one may differ by more among themselves.
    slower = json.loads((scratch / "a.json").read_text())
    slower["samples"]["p50_us"] = [100 + i for i in range(10)]
    (scratch / "steady.json").write_text(json.dumps(slower))
    slower["samples"]["p50_us"] = [1.5 * (100 + i) for i in range(10)]
    (scratch / "slower.json").write_text(json.dumps(slower))
    told = tenon("load", "compare", scratch / "steady.json", scratch / "slower.json", "--metric", "p50_us",
                 codes=(WORSE,))
    check("what is worse", "b is worse by p50_us: 1.5" in told, told)
    slower["question"]["users"] = 1
    (scratch / "slower.json").write_text(json.dumps(slower))
    tenon("load", "compare", scratch / "a.json", scratch / "slower.json", codes=(1,))
    out = json.loads(tenon("load", "ab", address, address, "--data-dir", data, "--duration", 0.2, "--warmup", 0.1,
                           "--rounds", 8, "--rate", 50, "--json", "--quiet", codes=(0, SATURATED, WORSE)))
    check("ab: eight rounds a side", all(len(out[side]["samples"]["p50_us"]) == 8 for side in "ab"), out)
    check("ab: a comparison", out["comparison"]["figures"], out)


def nothing_left():
    keys = json.loads(tenon("keys", "list", "--data-dir", data, "--json"))
    check("keys stay behind", not [key for key in keys if key["label"] == "tenon load" and not key["revoked"]], keys)
    for account in json.loads(tenon("accounts", "list", "--data-dir", data, "--json")):
        if account["name"].startswith("load-") or account["name"] == "demo":
            locked = [b["locked"] for b in account["balances"].values() if float(b["locked"]) != 0]
            check(f"orders of {account['name']} stay behind", not locked, account)


process, address = start()
try:
    scenarios(address)
    comparisons(address)
    nothing_left()
    tenon("load", "orders", "--rate", "fast", codes=(USAGE,))
    tenon("load", "get", "--path", "/nothing-here", "--target", address, "--rate", 50, "--duration", 0.3, "--warmup", 0,
          codes=(1,))
finally:
    process.terminate()
    check("the server stops", process.wait(60) == 0)
print("every scenario counts all it planned; nothing stays behind")
