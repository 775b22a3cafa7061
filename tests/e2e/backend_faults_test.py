"""Backends that do not do what a mail server does: each harms its own client alone, and nothing grows or spins by it."""

import socket
import struct
import time

import harness
import pressure
from harness import USER, eventually

WORKER_KIB_MAX = 4096  # of a tlsworker's own memory, buffers and all
QUIET_SHARE = 0.1  # of a processor, for a process that has nothing to do


class BackendFaultsTest(harness.PosternTest):
    def start_script(self, script, **settings):
        return self.start(service={"backend": ["/bin/sh", "-c", script], "environment": None}, **settings)

    def log_in(self, postern):
        """Without waiting for an answer."""
        client = postern.connect_tls()
        client.ok(b"USER " + USER.encode())
        client.send(b"PASS " + postern.password.encode() + b"\r\n")
        return client

    def worker(self, postern, client):
        (worker,) = postern.worker("tlsworker", postern.session_of(client))
        return worker

    def check_quiet(self, processes, seconds=1):
        """They use no time while nothing can move."""
        before = [pressure.cpu_seconds(process) for process in processes]
        time.sleep(seconds)  # the time in which nothing happens is what is measured
        for process, used in zip(processes, before):
            self.assertLess(pressure.cpu_seconds(process) - used, QUIET_SHARE * seconds, process)

    def roles(self, postern):
        return [process for role in harness.ROLES for process in postern.role(role)]

    def check_small(self, worker):
        if harness.ROOT:
            self.assertLess(pressure.private_kib(worker), WORKER_KIB_MAX)

    def fill(self, client):
        """Sends commands until nothing more can be sent. How many octets that were."""
        client.sock.settimeout(1)
        sent = 0
        try:
            while sent < 20_000_000:
                client.sock.sendall(b"NOOP\r\n" * 2000)
                sent += 12000
        except TimeoutError:
            pass
        return sent

    def test_one_that_says_and_reads_nothing(self):
        postern = self.start_script("exec sleep 1000")
        client = self.log_in(postern)
        postern.log.wait("login")
        self.assertLess(self.fill(client), 20_000_000)
        worker = self.worker(postern, client)
        self.check_quiet([worker, *self.roles(postern)])
        self.check_small(worker)
        with postern.connect_tls() as other:
            other.ok(b"QUIT")
        # A FIN behind what nobody reads is not seen; a reset is.
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        postern.log.wait("tls_end", why="client_lost")

    def test_one_that_writes_without_end_to_a_client_that_does_not_read(self):
        postern = self.start_script("printf '+OK\\r\\n'; exec cat /dev/zero")
        client = self.log_in(postern)
        client.line()
        worker = self.worker(postern, client)
        backend = lambda: postern.processes(lambda process: process.title().startswith("cat "))
        eventually(backend, "the flood")
        eventually(lambda: self.stuck(worker), "full buffers")
        self.check_quiet([worker, *backend(), *self.roles(postern)])
        self.check_small(worker)
        client.exactly(50_000_000)  # and it goes on for a client that reads
        client.sock.close()
        postern.log.wait("backend_end")  # by SIGPIPE or ECONNRESET

    def stuck(self, process):
        before = pressure.cpu_seconds(process)
        time.sleep(0.2)  # what is measured is the time in which nothing happens
        return pressure.cpu_seconds(process) == before

    def test_one_that_writes_without_end_on_standard_error(self):
        postern = self.start_script("printf '+OK\\r\\n'; exec yes 'a useless complaint' >&2", limits={"drain_seconds": 0})
        client = self.log_in(postern)
        client.line()
        postern.log.wait("stderr_lost")
        before, started = len(postern.log.find("stderr")), time.monotonic()
        other = postern.connect_tls()
        other.ok(b"QUIT")
        session = postern.session_of(other)
        postern.log.wait("tls", session=session)
        postern.log.wait("close", session=session)
        postern.log.wait("stderr_lost", count=3)
        # Allowed are 100 a second; of this machine's seconds some are long.
        self.assertLess(len(postern.log.find("stderr")) - before, 100 * (time.monotonic() - started) + 100)
        self.assertLess(len(postern.log.lines), 4000)
        eventually(lambda: self.small(postern.role("logger")[0]), "a logger that does not grow")

    def small(self, process):
        return not harness.ROOT or pressure.private_kib(process) < WORKER_KIB_MAX

    def test_one_that_closes_its_standard_output(self):
        postern = self.start_script("printf '+OK\\r\\n'; exec >&-; while read line; do :; done")
        client = self.log_in(postern)
        client.line()
        client.send(b"STAT\r\n" * 1000)
        self.check_quiet([self.worker(postern, client), *self.roles(postern)])
        client.sock.unwrap().close()
        postern.log.wait("backend_end", status=0)

    def test_one_that_closes_its_standard_input(self):
        postern = self.start_script("printf '+OK\\r\\n'; exec <&-; sleep 2; printf '+OK bye\\r\\n'")
        client = self.log_in(postern)
        client.line()
        client.send(b"STAT\r\n" * 1000)
        self.check_quiet([self.worker(postern, client), *self.roles(postern)])
        self.assertEqual(client.rest(), b"+OK bye\r\n")
        postern.log.wait("backend_end", status=0)

    def test_one_that_ends_at_once(self):
        for status in (0, 1, 111):
            postern = self.start_script("exit %d" % status)
            with self.log_in(postern) as client:
                self.assertEqual(client.rest(), b"")
            postern.log.wait("backend_end", status=status)
            postern.log.wait("close", count=1)

    def test_one_that_shuts_its_side_down_and_goes_on_reading(self):
        script = "import os, socket; s = socket.socket(fileno=os.dup(0)); s.sendall(b'+OK\\r\\n'); s.shutdown(socket.SHUT_WR)"
        script += "\nwhile s.recv(4096): pass"
        postern = self.start(service={"backend": ["/usr/bin/python3", "-I", "-c", script], "environment": None})
        client = self.log_in(postern)
        client.line()
        self.assertEqual(client.sock.recv(1), b"")  # close_notify
        self.check_quiet([self.worker(postern, client), *self.roles(postern)])
        client.send(b"STAT\r\n" * 1000)
        client.sock.close()
        postern.log.wait("backend_end", status=0)
        postern.log.wait("close")


if __name__ == "__main__":
    harness.main()
