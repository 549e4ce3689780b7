# SPDX-License-Identifier: Apache-2.0
"""The packages on a machine with systemd: installed, run, killed, updated, removed (K7).

usage: service_test.py BUILD_DIR [RESTARTS [SEED]], after package_test.py has made the packages
"""
import json
import pathlib
import random
import shlex
import sys
import tempfile
import unittest

import box

BUILD = pathlib.Path(sys.argv.pop(1))
RESTARTS = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 3
SEED = int(sys.argv.pop(1)) if len(sys.argv) > 1 else random.randrange(2**32)
LOAD = pathlib.Path(__file__).resolve().with_name("restart_load.py")
SKIPPED = 77
WATCHDOG = "/etc/systemd/system/tenon.service.d/watchdog.conf"


def one_package(name):
    found = list((BUILD / "packages").glob(f"{name}_*.deb"))
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


class Service(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tenon-box-")
        cls.box = box.Box(cls.folder.name)
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.box.close)
        for name in ("tenon", "tenon-dev"):
            file = one_package(name)
            with file.open("rb") as package:
                cls.box.run(f"cat > /root/{name}.deb", stdin=package)

    def show(self, what):
        return self.box.run(f"systemctl show -P {what} tenon").strip()

    def active(self):
        self.box.wait("systemctl is-active tenon", lambda done: done.stdout.strip() == "active")

    def tenon(self, command):
        return self.box.run(f"tenon {command} --data-dir /var/lib/tenon --json")

    def load(self, *args):
        done = self.box.run(shlex.join(["python3", str(LOAD), self.key, *map(str, args)]), timeout=900)
        told = json.loads(done)
        print(f"restarts={args} {done.strip()}", file=sys.stderr)
        self.assertEqual(told["failed"], [])
        self.assertEqual(told["lost"], [])
        self.assertGreater(told["orders"], RESTARTS)
        return told

    def descriptors(self):
        return int(self.box.run(f"ls /proc/{self.show('MainPID')}/fd | wc -l"))

    def test_life(self):
        with self.subTest("installed, it runs as its own user with a key that it cannot read as a file"):
            self.box.run("dpkg -i /root/tenon.deb")
            self.active()
            self.assertEqual(self.box.run(f"ps -o user= -p {self.show('MainPID')}").strip(), "tenon")
            self.assertEqual(self.box.run("stat -c '%a %U %s' /etc/tenon/master.key").strip(), "600 root 32")
            self.assertEqual(self.box.run("stat -c '%a %U' /var/lib/tenon").strip(), "700 tenon")
            self.tenon("verify --listen 127.0.0.1:8765")
        with self.subTest("its plugins run within the bounds of the unit"):
            health = json.loads(self.tenon("status"))
            states = {plugin["name"]: plugin["state"] for plugin in health["plugins"]}
            self.assertEqual({name: state for name, state in states.items() if state != "started"}, {})
            self.assertEqual(self.box.run("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8765/readyz"), "200")
        with self.subTest("a reload is a signal, not a restart"):
            before = self.show("MainPID")
            self.box.run("systemctl reload tenon")
            self.box.wait("journalctl -u tenon -o cat", lambda done: "config_reload" in done.stdout
                          or "result=applied" in done.stdout)
            self.assertEqual(self.show("MainPID"), before)
        self.tenon("accounts open --account kept")
        with self.subTest("killed, it is back with what it acknowledged"):
            before = self.show("MainPID")
            self.box.run("systemctl kill -s KILL tenon")
            self.box.wait("systemctl show -P NRestarts tenon", lambda done: done.stdout.strip() == "1")
            self.active()
            self.assertNotEqual(self.show("MainPID"), before)
            self.assertIn("kept", self.tenon("accounts list"))
        with self.subTest("stopped in its tracks, it is ended by the watchdog and starts again"):
            self.box.run(f"mkdir -p {pathlib.Path(WATCHDOG).parent} && "
                         f"printf '[Service]\\nWatchdogSec=2\\nTimeoutAbortSec=5\\n' > {WATCHDOG} && "
                         "systemctl daemon-reload && systemctl restart tenon")
            self.active()
            before = self.show("NRestarts")
            self.box.run("systemctl kill -s STOP tenon")
            self.box.wait("systemctl show -P NRestarts tenon", lambda done: done.stdout.strip() > before)
            self.active()
            self.assertIn("kept", self.tenon("accounts list"))
            self.box.run(f"rm {WATCHDOG} && systemctl daemon-reload")
        with self.subTest("a deployment that is not there is refused with its name, and mended by a restart"):
            self.box.run("sed -i 's#conservative.json#absent.json#' /etc/default/tenon; systemctl restart tenon || true")
            self.box.wait("systemctl show -P ExecMainStatus tenon", lambda done: done.stdout.strip() == "3")
            self.assertIn("absent.json", self.box.run("journalctl -u tenon -o cat -n 50"))
            self.box.run("sed -i 's#absent.json#conservative.json#' /etc/default/tenon; systemctl restart tenon")
            self.active()
        with self.subTest("an update restarts it and keeps settings, key and accounts"):
            key = self.box.run("sha256sum /etc/tenon/master.key")
            self.box.run("echo '# mine' >> /etc/default/tenon")
            before = self.show("MainPID")
            self.box.run("dpkg -i --force-confold /root/tenon.deb")
            self.active()
            self.assertNotEqual(self.show("MainPID"), before)
            self.assertEqual(self.box.run("sha256sum /etc/tenon/master.key"), key)
            self.assertIn("# mine", self.box.run("cat /etc/default/tenon"))
            self.assertIn("kept", self.tenon("accounts list"))
        with self.subTest("restarts under load refuse nobody, fail no request and lose no order"):
            # The lowest level would let five requests a second through.
            self.box.run("""sed -i 's#^TENON_OPTIONS=.*#TENON_OPTIONS=--set '"'/plugins/throttle/config/level=\\"aggressive\\"'"'#' """
                         "/etc/default/tenon; systemctl restart tenon")
            self.active()
            self.key = self.tenon("keys create --account demo --permissions trade,read").strip()
            self.assertEqual(self.show("NFileDescriptorStore"), "1")
            before = self.descriptors()
            self.assertLess(self.load(RESTARTS)["longest_s"], 5)
            self.assertLessEqual(self.descriptors(), before + 8)  # of connections that are just open
            self.assertEqual(self.show("NFileDescriptorStore"), "1")
        with self.subTest("killed at a random moment of a restart, it is back, and nobody was refused", seed=SEED):
            print(f"seed={SEED}", file=sys.stderr)
            self.load(RESTARTS, SEED)
        with self.subTest("its gateway restarted alone listens on the same socket"):
            self.tenon("plugins restart --plugin http")
            self.box.wait("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8765/readyz", lambda done: done.stdout == "200")
            self.assertEqual(self.show("NFileDescriptorStore"), "1")
        with self.subTest("moved to another address, it is no more found at the old one"):
            self.box.run("sed -i 's#^TENON_LISTEN=.*#TENON_LISTEN=127.0.0.1:8766#' /etc/default/tenon; systemctl restart tenon")
            self.active()
            self.box.run("curl -sf http://127.0.0.1:8766/readyz")
            self.assertEqual(self.box.try_run("curl -s http://127.0.0.1:8765/readyz").returncode, 7)  # refused
            self.box.run("sed -i 's#8766#8765#' /etc/default/tenon; systemctl restart tenon")
            self.active()
        with self.subTest("a stop drains and ends well"):
            self.box.run("systemctl stop tenon")
            self.assertEqual(self.show("ExecMainStatus"), "0")
        with self.subTest("the SDK's package builds a plugin that the kit passes"):
            self.box.run("dpkg -i /root/tenon-dev.deb")
            self.assertRegex(self.box.run("pkg-config --modversion tenon-sdk"), r"^\d+\.\d+")
            self.box.run("cd /tmp && tenon plugin new cache-tier probe --language c --dir /tmp/probe && "
                         "cmake -S /tmp/probe -B /tmp/probe/build && cmake --build /tmp/probe/build")
            self.box.run("tenon plugin check $(find /tmp/probe/build -name '*.so' | head -n 1)")
        with self.subTest("removed and purged, the books and their key stay"):
            self.box.run("systemctl start tenon")
            self.active()
            self.box.run("dpkg -r tenon-dev && dpkg -r tenon")
            self.assertEqual(self.box.try_run("systemctl is-active tenon").stdout.strip(), "inactive")
            said = self.box.run("dpkg --purge tenon")
            self.assertIn("/var/lib/tenon is kept", said)
            self.box.run("test -s /etc/tenon/master.key && test -d /var/lib/tenon/journal")
            self.box.run("! test -e /etc/default/tenon && ! test -e /usr/bin/tenond")
            self.assertEqual(self.box.run("find /usr -path '*tenon*' -not -path '*/share/doc/*'").strip(), "")
        with self.subTest("installed again, it goes on with the same books"):
            self.box.run("dpkg -i /root/tenon.deb")
            self.active()
            self.assertIn("kept", self.tenon("accounts list"))


if __name__ == "__main__":
    if not box.possible():
        print("skipped: a systemd of its own needs root")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
