#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`tenon load ab` and `tenon load compare` on real servers: a regression that was planted is found, and none is told of where
there is none.

usage: planted_test.py BUILD_DIR [--long] [--comparisons N] [--seed N]. Two servers answer GET /planted by a reckoning of so many
steps (tests/integration/load/planted); that of the slower one is longer by a known part, so what is to be found is known. By
default a few comparisons with a plain regression; --long: 10 % in 100 comparisons, found in 95 at least, and 100 of a server
with itself, of which one at most is told as worse.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.request

STEPS = 250_000  # about half a millisecond: most of what a request costs
SATURATED, WORSE = 5, 6

parser = argparse.ArgumentParser()
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("--long", action="store_true")
parser.add_argument("--comparisons", type=int)
parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
options = parser.parse_args()
build = options.build.resolve()
folder = tempfile.TemporaryDirectory(prefix="tenon-load-planted-")
scratch = pathlib.Path(folder.name)
ROUNDS = 10 if options.long else 8  # fewer than 8 are no comparison


class Server:
    """A server with a gateway, metrics and the planted route, whose requests cost `part` of the usual."""

    def __init__(self, name, part):
        self.data = scratch / name
        deployment = scratch / f"{name}.json"
        deployment.write_text(json.dumps({
            "deployment_version": 1, "name": name,
            "plugin_path": [str(build / "plugins"), str(build / "tests/load-plugins")],
            "plugins": {
                "http": {"id": "tenon.gateway.http", "grant": ["*"]},
                "metrics": {"id": "tenon.monitor.metrics", "grant": ["*"]},
                "planted": {"id": "test.load.planted", "grant": ["*"], "config": {"steps": round(STEPS * part)}}}}))
        with open(scratch / f"{name}.log", "w") as log:
            self.process = subprocess.Popen(
                [build / "bin/tenond", "--deployment", deployment, "--data-dir", self.data, "--listen", "127.0.0.1:0"],
                stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.url = "http://" + (self.data / "listen").read_text().strip()
                urllib.request.urlopen(f"{self.url}/planted").close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise SystemExit((scratch / f"{name}.log").read_text())

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)


def tenon(codes, *words):
    done = subprocess.run([build / "bin/tenon", "load", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"tenon load {' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def compare(one, other, seed):
    """Rounds of both in turns, and what `compare` says of what was written down: (is worse, how many times, p)."""
    told = json.loads(tenon(
        (0, SATURATED, WORSE), "ab", one.url, other.url, "--scenario", "get", "--path", "/planted", "--rate", 400, "--users", 2,
        "--arrivals", "constant", "--duration", 0.25, "--warmup", 0.05, "--rounds", ROUNDS, "--metric", "server_cpu_us",
        "--seed", seed, "--json", "--quiet").stdout)
    for side in "ab":
        (scratch / f"{side}.json").write_text(json.dumps(told[side]))
    done = tenon((0, WORSE), "compare", scratch / "a.json", scratch / "b.json", "--metric", "server_cpu_us", "--json")
    found = json.loads(done.stdout)
    if (done.returncode == WORSE) != (found["verdict"] == "worse"):
        raise SystemExit(f"exit {done.returncode}, but the verdict is {found['verdict']}")
    return done.returncode == WORSE, found["ratio"], found["p"]


def campaign(name, one, other, count, seeds):
    worse = []
    for i in range(count):
        is_worse, ratio, p = compare(one, other, seeds.randrange(1 << 31))
        worse.append(is_worse)
        print(f"{name} {i + 1}: ratio {ratio:.3f}, p {p:.2g}{', worse' if is_worse else ''}", flush=True)
    print(f"{name}: worse in {sum(worse)} of {count}", flush=True)
    return sum(worse)


print(f"seed {options.seed}", flush=True)
seeds = random.Random(options.seed)
part, planted, same = (1.1, 100, 100) if options.long else (1.5, 3, 5)
if options.comparisons:
    planted = same = options.comparisons
servers = []
try:
    servers += [Server("usual", 1)]
    servers += [Server("slower", part)]
    found = campaign(f"{part - 1:.0%} more", *servers, planted, seeds)
    alarms = campaign("no difference", servers[0], servers[0], same, seeds)
finally:
    for server in servers:
        server.stop()
# Of five by chance two would be in one run of thousands, since p < 0.01 on two sides; of a hundred, one is expected at most.
least, most = (0.95 * planted, max(1, same // 100)) if options.long else (planted, 1)
if found < least or alarms > most:
    sys.exit(f"found {found} of {planted}, expected {least:.0f} at least; {alarms} alarms of {same}, expected {most} at most")
