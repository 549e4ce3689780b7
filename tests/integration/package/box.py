# SPDX-License-Identifier: Apache-2.0
"""A real systemd in namespaces of its own: this machine's files under a layer that is thrown away.

Its processes see no others, its network is a loopback of its own, and it ends with this process.
Needs root.
"""
import os
import pathlib
import subprocess
import time

BOOT = r"""
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mkdir sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
# This machine's own services are not what is looked at; a container's may be forbidden to start.
rm -rf etc/systemd/system/*.wants lib/systemd/system/{sysinit,basic,multi-user}.target.wants usr/sbin/policy-rc.d
# Not by chroot: in one no user namespace can be made, as PrivateUsers= does.
mkdir run/outside
pivot_root . run/outside
umount -l /run/outside
# As it is on a machine: credentials are mounted by a child.
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=basic.target --log-target=null
"""
ENTER = ("--mount", "--pid", "--net", "--ipc", "--uts")


class Box:
    def __init__(self, folder):
        self._unshare = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child",
             "bash", "-c", BOOT, "box", str(folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._init = self._wait_for_init()
        self.wait("systemctl is-active basic.target", lambda done: done.stdout.strip() == "active")

    def _wait_for_init(self):
        children = pathlib.Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._unshare.poll() is not None:
                raise RuntimeError("no box: " + self._unshare.stdout.read().decode())
            for child in children.read_text().split():
                try:
                    if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                        return child
                except FileNotFoundError:
                    pass
            time.sleep(0.05)
        raise RuntimeError("systemd did not start in the box")

    def try_run(self, command, timeout=120, **options):
        """One shell command as root in the box; its result, whatever it was."""
        return subprocess.run(["nsenter", "-t", self._init, *ENTER, "--", "/bin/sh", "-c", command],
                              capture_output=True, text=True, timeout=timeout,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"},
                              **options)

    def run(self, command, **options):
        """Its output; fails with all that it said."""
        done = self.try_run(command, **options)
        if done.returncode != 0:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def wait(self, command, good, seconds=60):
        """Runs the command until `good` says so of its result."""
        deadline = time.monotonic() + seconds
        while True:
            done = self.try_run(command)
            if good(done):
                return done
            if time.monotonic() > deadline:
                raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
            time.sleep(0.1)

    def close(self):
        self._unshare.kill()
        self._unshare.wait()
        self._unshare.stdout.close()


def possible():
    return os.geteuid() == 0
