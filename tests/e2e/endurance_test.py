"""100 000 short sessions one after another: no role's memory grows by them, nor its descriptors."""

import collections
import concurrent.futures
import os
import socket
import struct
import unittest

import eventlog
import harness
import pressure
from harness import USER, eventually
from processes import Process

SESSIONS = int(os.environ.get("POSTERN_SESSIONS", "100000"))
WARM_UP = 2000  # until every buffer, map and allocator has the size it keeps
THREADS = 8
GROWTH_KIB_MAX = 256  # a leak of 3 octets a session would be more


class CountingLog(eventlog.EventLog):
    """Keeps what is said before `ready`, and later how often each event came: the lines of all would take more time than the
    sessions."""

    def __init__(self, stream):
        self.counts = collections.Counter()
        super().__init__(stream)

    def _read(self, stream):
        ready = False
        for octets in stream:
            if ready:
                self.counts[octets.partition(b" ev=")[2].split(maxsplit=1)[0].decode("ascii", "replace")] += 1
                continue
            with self._changed:
                self.lines.append(octets.decode("utf-8", "backslashreplace").rstrip("\n"))
                ready = octets == b"ready\n"
                self._changed.notify_all()
        stream.close()
        with self._changed:
            self.ended = True
            self._changed.notify_all()


class Crowd:
    """Threads that take turns at the kinds of sessions, each from an address of its own."""

    def __init__(self, postern):
        self.postern = postern
        self.context = postern.trust()
        # Of each hundred.
        self.kinds = [self.come_and_go] * 40 + [self.come_and_reset] * 16 + [self.greet] * 35
        self.kinds += [self.stls] * 4 + [self.implicit] * 4 + [self.log_in]

    def connect(self, port, source):
        sock = socket.socket()
        sock.settimeout(60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: a port per pair of addresses, not per address
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", port))
        return sock

    def come_and_go(self, source):
        self.connect(self.postern.pop3, source).close()

    def come_and_reset(self, source):
        sock = self.connect(self.postern.pop3s, source)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    def expect(self, sock, end=b"\r\n"):
        said = b""
        while not said.endswith(end):
            part = sock.recv(4096)
            if not part or not (said + part).startswith(b"+OK"):
                raise AssertionError("the server said %r" % (said + part))
            said += part

    def quit(self, sock):
        sock.sendall(b"QUIT\r\n")
        self.expect(sock)
        if sock.recv(1):
            raise AssertionError("more after QUIT")
        sock.close()

    def greet(self, source):
        sock = self.connect(self.postern.pop3, source)
        self.expect(sock)
        self.quit(sock)

    def tls(self, sock):
        return self.context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)

    def start_stls(self, source):
        sock = self.connect(self.postern.pop3, source)
        self.expect(sock)
        sock.sendall(b"STLS\r\n")
        self.expect(sock)
        return self.tls(sock)

    def stls(self, source):
        self.quit(self.start_stls(source))

    def implicit(self, source):
        sock = self.tls(self.connect(self.postern.pop3s, source))
        self.expect(sock)
        self.quit(sock)

    def log_in(self, source):
        sock = self.start_stls(source)
        for command in (b"USER " + USER.encode(), b"PASS " + self.postern.password.encode()):
            sock.sendall(command + b"\r\n")
            self.expect(sock)
        self.quit(sock)

    def some(self, number, count):
        for i in range(number, count, THREADS):
            self.kinds[i * 37 % 100]("127.0.%d.%d" % (1 + i // THREADS % 4, number + 1))

    def run(self, count):
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for done in [pool.submit(self.some, number, count) for number in range(THREADS)]:
                done.result()


class EnduranceTest(harness.PosternTest):
    def uses(self, postern):
        """{role: (pid, memory in KiB, number of descriptors)} once no session is left."""
        eventually(lambda: not postern.workers(), lambda: postern.workers(), 60)
        processes = {role: postern.role(role)[0] for role in harness.ROLES}
        processes["supervisor"] = Process(postern.process.pid)
        return {
            role: (process.pid, pressure.private_kib(process), len(process.descriptors()))
            for role, process in processes.items()
        }

    @unittest.skipUnless(harness.ROOT, "the memory of roles is shown to root alone")
    def test_nothing_grows(self):
        postern = self.prepare()
        postern.log_class = CountingLog
        self.addCleanup(self.end, postern)
        postern.start()
        crowd = Crowd(postern)
        crowd.run(WARM_UP)
        before = self.uses(postern)
        crowd.run(SESSIONS)
        after = self.uses(postern)
        for role, (pid, memory, descriptors) in after.items():
            self.assertEqual((pid, descriptors), (before[role][0], before[role][2]), role)
            self.assertLess(memory, before[role][1] + GROWTH_KIB_MAX, role)
        counts = postern.log.counts
        for trouble in ("refused", "role_died", "worker_died", "worker_failed", "bad_request", "login_failed"):
            self.assertEqual(counts[trouble], 0, trouble)
        if counts["lost"] == 0:  # lines, by a machine too slow for our reading
            eventually(lambda: counts["accept"] == counts["close"], counts)


if __name__ == "__main__":
    harness.main()
