"""What a group of processes has used: processor time, those that have ended included, and memory.

A cgroup counts without a gap, in nanoseconds. Where none can be made, the processes hang from a warden of ours that adopts
orphans, and /proc has the sums, in hundredths of a second.
"""

import ctypes
import itertools
import os
import signal
import time

CGROUP_PLACES = ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup", "/sys/fs/cgroup/unified")
PR_SET_CHILD_SUBREAPER = 36
_numbers = itertools.count()


def words_of(path):
    with open(path, encoding="latin-1") as file:
        return file.read().split()


def children_of(pid):
    children = [int(word) for word in words_of("/proc/%d/task/%d/children" % (pid, pid))]
    return children + [grandchild for child in children for grandchild in children_of(child)]


class CgroupMeter:
    kind = "cgroup"

    def __init__(self, place):
        self._path = "%s/postern-bench-%d-%d" % (place, os.getpid(), next(_numbers))
        os.mkdir(self._path)
        self.cpu_us()

    def enter(self):
        """In the child, before exec."""
        with open(self._path + "/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")

    def adopt(self, pid):
        """A process that was started by others, with its children so far."""
        for each in (pid, *children_of(pid)):
            with open(self._path + "/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(each))

    def pids(self):
        return [int(word) for word in words_of(self._path + "/cgroup.procs")]

    def cpu_us(self):
        try:
            return int(words_of(self._path + "/cpuacct.usage")[0]) / 1000  # version 1
        except FileNotFoundError:
            return float(words_of(self._path + "/cpu.stat")[1])  # version 2: usage_usec

    def close(self):
        os.rmdir(self._path)


class ProcMeter:
    kind = "/proc"

    def __init__(self):
        self._wardens = []

    def enter(self):
        """In the child, before exec: it becomes the warden, a child of its own goes on."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        child = os.fork()
        if child == 0:
            return
        os.closerange(0, 1024)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        while True:
            pid, status = os.wait()
            if pid == child:
                os._exit(os.waitstatus_to_exitcode(status) & 255)

    def adopt(self, pid):
        self._wardens.append(pid)

    def _stats(self):
        """{pid: (parent, ticks of itself and of the children it has waited for)}"""
        stats = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % name, encoding="latin-1") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            stats[int(name)] = (int(fields[1]), sum(map(int, fields[11:15])))
        return stats

    def _ours(self):
        stats = self._stats()
        ours = {pid for pid in self._wardens if pid in stats}
        size = -1
        while size != len(ours):
            size = len(ours)
            ours |= {pid for pid, (parent, _) in stats.items() if parent in ours}
        return {pid: stats[pid] for pid in ours}

    def pids(self):
        return list(self._ours())

    def cpu_us(self):
        return sum(ticks for _, ticks in self._ours().values()) * 1e6 / os.sysconf("SC_CLK_TCK")

    def close(self):
        pass


def make_meter():
    for place in CGROUP_PLACES:
        try:
            return CgroupMeter(place)
        except OSError:
            pass
    return ProcMeter()


def names(pids):
    """Of the living: for a complaint."""
    found = []
    for pid in pids:
        try:
            found.append(" ".join(words_of("/proc/%d/comm" % pid)))
        except OSError:
            pass
    return ", ".join(sorted(found))


def settled(meter, processes, seconds=20):
    """Waits until no more processes are left than there were at rest, and they do nothing. Their processor time."""
    deadline = time.monotonic() + seconds
    before = None
    while time.monotonic() < deadline:
        now = meter.cpu_us()
        if now == before and len(meter.pids()) <= processes:
            return now
        before = now
        time.sleep(0.05)  # to see whether anything happens meanwhile
    raise RuntimeError("these do not come to rest: " + names(meter.pids()))


def quiet(meter, seconds=20):
    """Waits until processes neither come nor go nor do anything, for half a second. How many there are."""
    deadline = time.monotonic() + seconds
    since = before = None
    while time.monotonic() < deadline:
        now = (meter.cpu_us(), len(meter.pids()))
        if now != before:
            since, before = time.monotonic(), now
        elif time.monotonic() - since > 0.5:
            return now[1]
        time.sleep(0.05)
    raise RuntimeError("these do not come to rest: " + names(meter.pids()))


def memory_kib(pids):
    """(PSS, private) of all of them."""
    pss = private = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid, encoding="latin-1") as file:
                lines = [line.split() for line in file]
        except OSError:  # gone meanwhile
            continue
        fields = {words[0]: int(words[1]) for words in lines[1:]}
        pss += fields["Pss:"]
        private += fields["Private_Clean:"] + fields["Private_Dirty:"]
    return pss, private


def run_us(pids, program):
    """Processor time of the living processes of this program's name."""
    total = 0
    for pid in pids:
        try:
            if os.path.basename(os.readlink("/proc/%d/exe" % pid)) == program:
                total += int(words_of("/proc/%d/schedstat" % pid)[0])
        except OSError:
            pass
    return total / 1000
