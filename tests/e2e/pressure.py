"""What a process uses, and how to leave it less."""

import contextlib
import os
import subprocess

TICKS = os.sysconf("SC_CLK_TCK")


def _set(process, what, soft):
    """As the process's own user: root may change only what is its own where it lacks CAP_SYS_RESOURCE."""
    status = process.status()
    uid, gid = (int(status[name].split()[0]) for name in ("Uid", "Gid"))
    subprocess.run(
        ["prlimit", "--pid", str(process.pid), "--%s=%s:" % (what, soft)],
        user=uid, group=gid, extra_groups=[], check=True, capture_output=True,
    )


def _get(process, what):
    name = {"nproc": "Max processes", "nofile": "Max open files", "as": "Max address space"}[what]
    (line,) = [line for line in process.read("limits").decode("ascii").splitlines() if line.startswith(name)]
    return line.removeprefix(name).split()[0]


@contextlib.contextmanager
def limited(process, what, soft):
    """While it lasts, the process's soft limit of `what` (as prlimit(1) names it) is `soft`."""
    before = _get(process, what)
    _set(process, what, soft)
    try:
        yield
    finally:
        try:
            _set(process, what, before)
        except (OSError, KeyError, subprocess.CalledProcessError):
            if process.alive():
                raise


def lowest_free(process):
    """The next descriptor that the process would get: as its limit, it leaves it none."""
    used = process.descriptors()
    return next(number for number in range(len(used) + 1) if number not in used)


def cpu_seconds(process):
    fields = process.read("stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def private_kib(process):
    """Memory that it shares with no other process."""
    lines = process.read("smaps_rollup").decode("ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))


def address_space_octets(process):
    return int(process.status()["VmSize"].split()[0]) * 1024
