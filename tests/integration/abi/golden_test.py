#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden plugins in today's host: they load, start, serve a round trip, take a reload and stop.
TENON_SOURCE_DIR names the sources, TENON_BUILD_DIR the build."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

SOURCE, BUILD = pathlib.Path(os.environ["TENON_SOURCE_DIR"]), pathlib.Path(os.environ["TENON_BUILD_DIR"])
BASELINE = SOURCE / "sdk/abi-baseline"
KINDS = {"cache-tier": "tenon.cache_tier/1", "throttle": "tenon.throttle/1", "monitor": "tenon.probe/1",
         "feed": "tenon.feed/1", "venue": "tenon.venue/1"}
SERVICES = {"log", "clock", "environment", "exec", "metrics", "health", "services", "secret", "admin", "config", "bus",
            "audit"}
PATIENCE_S = 60


class Server:
    """tenond with every golden plugin of one folder, and the consumer."""

    def __init__(self, case, plugins):
        self.case = case
        self.scratch = pathlib.Path(tempfile.mkdtemp())
        case.addCleanup(shutil.rmtree, self.scratch)
        # A checkout may leave files that a group can write; the host refuses such plugins.
        for folder in [*plugins, BUILD / "tests/abi-consumer/golden-consumer"]:
            out = self.scratch / "plugins" / folder.name
            out.mkdir(parents=True)
            for path in [*folder.glob("*.so"), folder / "plugin.json"]:
                shutil.copyfile(path, out / path.name)
                (out / path.name).chmod(0o644)
        self.names = [p.name.removeprefix("golden-") for p in plugins]
        self.write("first")
        self.data = self.scratch / "data"
        self.log = open(self.scratch / "log", "w+", encoding="utf-8")
        case.addCleanup(self.log.close)
        self.process = subprocess.Popen([BUILD / "bin/tenond", "--deployment", self.scratch / "d.json", "--data-dir", self.data,
                                         "--listen", "127.0.0.1:0", "--plugin-path", self.scratch / "plugins"],
                                        stderr=self.log)
        case.addCleanup(self.end)

    def write(self, text):
        plugins = {n: {"id": f"golden.{n}", **({"config": {"text": text}} if n.startswith("plain-") else {})}
                   for n in self.names}
        plugins["consumer"] = {"id": "test.golden.consumer"}
        (self.scratch / "d.json").write_text(json.dumps({"deployment_version": 1, "plugins": plugins}))

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def said(self):
        return (self.scratch / "log").read_text()

    def ask(self, *words):
        done = subprocess.run([BUILD / "bin/tenon", *words, "--json", "--data-dir", self.data], capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def until(self, words, holds):
        """Asks until the answer fits; some of what is asked for happens on other threads."""
        deadline, answer = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < deadline and self.process.poll() is None:
            answer = self.ask(*words)
            if answer is not None and holds(answer):
                return answer
            # Nothing tells when; the next question is itself a wait of a process' start.
        self.case.fail(f"{words}: {answer}\n{self.said()}")
        return None


class Golden(unittest.TestCase):
    def run_all(self, plugins):
        server = Server(self, plugins)
        status = server.until(["status"], lambda answer: answer["ready"])
        self.assertEqual({p["name"]: p["state"] for p in status["plugins"]},
                         {n: "started" for n in [*server.names, "consumer"]})
        wanted = {f"{n} {KINDS[n.rsplit('-', 1)[0]]}": "ok" for n in server.names if not n.startswith("plain-")}
        for _ in range(3):
            server.until(["consumer", "round"], lambda answer: answer == wanted)
        plain = [n for n in server.names if n.startswith("plain-")]
        for name in plain:
            server.until([name, "report"], lambda answer: all(answer.get(s) == "ok" for s in SERVICES) and
                         answer["setting"] == "first" and answer["changed"] == 0)
        server.write("second")
        self.assertIsNotNone(server.ask("reload"), server.said())
        for name in plain:
            server.until([name, "report"], lambda answer: answer["config"] == "ok" and answer["setting"] == "second" and
                         answer["changed"] == 1)
        server.until(["consumer", "round"], lambda answer: answer == wanted)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(PATIENCE_S), 0, server.said())
        self.assertIn("event=stopped clean=true", server.said())

    def test_those_of_every_release_run_in_todays_host(self):
        releases = sorted(BASELINE.glob("*/golden/*/plugin.json"))
        if not releases:
            self.skipTest("no release is kept yet")
        by_release = {}
        for manifest in releases:
            folder = manifest.parent
            library = folder / f"{folder.name}.so"
            with self.subTest(library):
                self.assertEqual(json.loads(manifest.read_text())["library"]["sha256"],
                                 hashlib.sha256(library.read_bytes()).hexdigest())
            by_release.setdefault(folder.parent.parent.name, []).append(folder)
        for release, folders in by_release.items():
            with self.subTest(release):
                self.assertEqual(len(folders), 12)
                self.run_all(folders)

    def test_those_of_todays_headers_run_too(self):
        self.run_all(sorted(p.parent for p in (BUILD / "tests/abi-golden").glob("*/plugin.json")))

    def test_a_released_one_is_never_rebuilt(self):
        for release in {p.parent.name for p in BASELINE.glob("*/golden")}:
            done = subprocess.run([SOURCE / "tools/abi", "golden", release], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("never rebuilt", done.stderr)


if __name__ == "__main__":
    unittest.main()
