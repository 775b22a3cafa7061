"""Processes as /proc shows them."""

import os
import time


def eventually(condition, what, seconds=20):
    """The first true value of condition(), asked until the deadline: for what announces itself by no event."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("not within %s s: %s" % (seconds, what() if callable(what) else what))
        time.sleep(0.02)


class Process:
    """One process; what is asked of it once it has gone raises OSError (FileNotFoundError, ProcessLookupError)."""

    def __init__(self, pid):
        self.pid = pid

    def __repr__(self):
        try:
            return "%d %s" % (self.pid, self.title())
        except OSError:
            return "%d (gone)" % self.pid

    def path(self, name):
        return "/proc/%d/%s" % (self.pid, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def title(self):
        return self.read("cmdline").replace(b"\0", b" ").decode("latin-1").strip()

    def status(self):
        lines = self.read("status").decode("latin-1").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def uids(self):
        return {int(uid) for uid in self.status()["Uid"].split()}

    def zombie(self):
        return self.status()["State"].startswith("Z")

    def program(self):
        return os.readlink(self.path("exe")).removesuffix(" (deleted)")

    def working_directory(self):
        return os.readlink(self.path("cwd"))

    def namespace(self, kind):
        return os.readlink(self.path("ns/" + kind))

    def sleeps(self):
        return self.status()["State"].startswith("S")

    def switches(self):
        """How often it has run and stopped running: the same again later, and it has not been woken meanwhile."""
        status = self.status()
        return int(status["voluntary_ctxt_switches"]) + int(status["nonvoluntary_ctxt_switches"])

    def descriptors(self):
        """{number: what it is, as /proc/PID/fd says}"""
        return {int(name): os.readlink(self.path("fd/" + name)) for name in os.listdir(self.path("fd"))}

    def remembers(self, octets):
        """Whether they stand anywhere in what it can write to."""
        with open(self.path("mem"), "rb", buffering=0) as memory:
            for line in self.read("maps").decode("latin-1").splitlines():
                if " rw" not in line:
                    continue
                start, end = (int(number, 16) for number in line.split()[0].split("-"))
                memory.seek(start)
                if octets in memory.read(end - start):
                    return True
        return False

    def watched(self):
        """What its epolls watch, each by the number of the descriptor that it was when it was added."""
        infos = [self.read("fdinfo/%d" % fd) for fd, name in self.descriptors().items() if "[eventpoll]" in name]
        return [int(line.split()[1]) for line in b"".join(infos).splitlines() if line.startswith(b"tfd:")]

    def alive(self):
        try:
            return not self.zombie()
        except OSError:
            return False


def processes(condition):
    """Those of which condition(process) is true; a process that goes meanwhile does not count."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        process = Process(int(name))
        try:
            if condition(process):
                found.append(process)
        except OSError:
            pass
    return found


def mounts():
    """What is mounted where, as far as this namespace sees."""
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        return {(fields[4], fields[2]) for fields in (line.split() for line in lines)}
