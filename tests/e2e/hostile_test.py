"""What a captured or stopped process, a flooding client or a log that nobody reads must not do to the others."""

import ctypes
import os
import signal
import socket
import subprocess
import time
import unittest

import harness
import processes
from harness import ROOT, USER
from processes import eventually


class FloodTest(harness.PosternTest):
    def flood(self, client, seconds):
        """Sends commands as fast as it can, reads nothing back in between, until the server closes."""
        started = time.monotonic()
        client.sock.settimeout(0.5)
        try:
            while time.monotonic() - started < seconds:
                try:
                    client.sock.sendall(b"NOOP\r\n" * 500)
                    client.sock.recv(1 << 16)
                except TimeoutError:
                    pass
        except OSError:
            pass
        return time.monotonic() - started

    def test_a_flood_does_not_buy_time(self):
        postern = self.start(limits={"login_seconds": 2, "handshake_seconds": 1})
        for connect in (postern.connect, postern.connect_stls):
            with connect() as client:
                # Of the octets that it does not fetch some may wait for it, for 20 s.
                self.assertLess(self.flood(client, 60), 40)
        postern.log.wait("dialogue_end", why="login_time", count=2)
        postern.log.wait("close", count=2)


class LogTest(harness.PosternTest):
    def serves(self, postern, sessions):
        started = time.monotonic()
        for _ in range(sessions):
            with postern.connect_stls() as client:
                client.ok(b"QUIT")
        return time.monotonic() - started

    def test_a_log_that_nobody_reads_stops_nothing(self):
        """Standard error is a pipe that fills, then one whose reader has gone."""
        for close in (False, True):
            with self.subTest(closed=close):
                postern = self.prepare()
                reader, writer = os.pipe()
                ready_reader, ready_writer = os.pipe()
                command = [postern.program, "run", "--notification-fd", str(ready_writer), postern.file]
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stderr=writer, pass_fds=(ready_writer,), preexec_fn=postern.become
                )
                self.addCleanup(process.kill)
                os.close(writer)
                os.close(ready_writer)
                self.assertEqual(os.read(ready_reader, 1), b"\n")
                os.close(ready_reader)
                if close:
                    os.close(reader)
                before = self.serves(postern, 50)
                self.serves(postern, 200)  # by now a pipe of 64 KiB is full
                after = self.serves(postern, 50)
                self.assertLess(after, 3 * before + 5)
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(30), 0)
                if not close:
                    os.close(reader)
                eventually(lambda: not postern.processes(), lambda: postern.processes())


class StoppedTest(harness.PosternTest):
    def test_a_stopped_worker_does_not_hold_up_the_end(self):
        postern = self.start()
        client = postern.logged_in()
        (worker,) = postern.worker("tlsworker", postern.session_of(client))
        os.kill(worker.pid, signal.SIGSTOP)
        postern.process.send_signal(signal.SIGINT)
        self.assertEqual(postern.gone(20), 0)

    def test_a_checkpassword_that_does_not_end_holds_up_no_other(self):
        number = "1000.%d" % os.getpid()
        slow = '[ "$(head -c 4 <&3)" != slow ] || exec sleep %s; exit 1' % number
        postern = self.start(
            service={"checkpassword": ["/bin/sh", "-c", slow]}, limits={"login_seconds": 3, "handshake_seconds": 1}
        )
        with postern.connect_tls() as stuck:
            stuck.ok(b"USER slow")
            stuck.send(b"PASS x\r\n")
            # As root: not among those that the harness knows by their uid.
            sleeping = lambda: processes.processes(lambda process: process.title() == "sleep " + number)
            eventually(sleeping, "checkpassword")
            with postern.connect_tls() as client:
                client.ok(b"USER quick")
                self.assert_err(client.command(b"PASS x"))
            stuck.rest()
            eventually(lambda: not sleeping(), "its end")

    def test_a_term_after_the_acceptors_death_gives_the_sessions_their_time(self):
        postern = self.start(limits={"drain_seconds": 4})
        with postern.logged_in() as client:
            (acceptor,) = postern.role("acceptor")
            os.kill(acceptor.pid, signal.SIGKILL)
            postern.log.wait("role_died", count=1)
            eventually(lambda: len(postern.role("acceptor")) == 1, "a new acceptor")
            with postern.connect() as other:
                other.ok(b"QUIT")
            postern.process.send_signal(signal.SIGTERM)
            postern.log.wait("draining")
            client.ok(b"STAT")
            client.ok(b"QUIT")
            self.assertEqual(postern.gone(20), 0)


@unittest.skipUnless(ROOT, "takes descriptors out of other processes, as a captured worker has them")
class CapturedTest(harness.PosternTest):
    def take(self, process, number):
        """Another process's descriptor, the same description: pidfd_getfd(2)."""
        libc = ctypes.CDLL(None, use_errno=True)
        pidfd = os.pidfd_open(process.pid)
        taken = libc.syscall(438, pidfd, number, 0)
        os.close(pidfd)
        if taken < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        return taken

    def test_an_octet_in_the_life_pipe_does_not_free_the_slot(self):
        postern = self.start(limits={"sessions_per_address": 1})
        with postern.connect() as client:
            session = postern.session_of(client)
            (worker,) = postern.worker("protocolbroker", session)
            for number, what in worker.descriptors().items():
                if what.startswith("pipe:"):
                    fd = self.take(worker, number)
                    os.write(fd, b"x")
                    os.close(fd)
            harness.pop3.Client(postern.pop3).rest()
            postern.log.wait("refused", why="sessions_per_address")
            self.assertEqual(postern.log.find("close"), [])

    def test_a_worker_may_shut_down_its_own_two_streams_and_no_more(self):
        """The filter's rule for shutdown(2) names numbers: they must be the client and the plain side."""
        postern = self.start()
        with postern.logged_in() as client:
            (worker,) = postern.worker("tlsworker", postern.session_of(client))
            kinds = []
            for number, what in sorted(worker.descriptors().items()):
                if what.startswith("socket"):
                    with socket.socket(fileno=self.take(worker, number)) as sock:
                        kinds.append((number, sock.family, sock.type))
            # Control, log, and the reply line, whose end tells others of the worker's.
            packets = [(number, *kind) for number, *kind in kinds if kind == [socket.AF_UNIX, socket.SOCK_SEQPACKET]]
            self.assertEqual([number for number, *_ in packets][:2], [3, 4])
            self.assertEqual(len(packets), 3)
            streams = [kind for kind in kinds if kind not in packets]
            self.assertEqual(
                streams, [(20, socket.AF_INET, socket.SOCK_STREAM), (21, socket.AF_UNIX, socket.SOCK_STREAM)]
            )


class EnvironmentTest(harness.PosternTest):
    def test_checkpassword_does_not_see_what_is_configured_for_the_backend(self):
        seen = self.installation.path("seen-%d" % os.getpid())
        open(seen, "w", encoding="utf-8").close()
        os.chmod(seen, 0o666)
        script = 'env >%s; exec "$@"' % seen
        postern = self.prepare(service={**self.installation.backend("envdump"), "environment": {"PATH": "/x", "SECRET": "y"}})
        service = postern.settings["service.pop3"]
        service["checkpassword"] = ["/bin/sh", "-c", script, "sh", *service["checkpassword"]]
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        self.addCleanup(self.end, postern)
        postern.start()
        with postern.connect_tls() as client:
            client.login(USER, postern.password)
            facts = client.lines()
        self.assertIn(b"env SECRET=y", facts)
        self.assertEqual([fact for fact in facts if fact.startswith(b"env PATH=")], [b"env PATH=/x"])
        with open(seen, encoding="utf-8") as file:
            environment = file.read()
        self.assertIn("TCPREMOTEIP=127.0.0.1", environment)
        self.assertNotIn("SECRET", environment)


class CommandTest(harness.PosternTest):
    def test_a_notification_descriptor_that_is_not_open(self):
        postern = self.prepare()
        done = subprocess.run(
            [postern.program, "run", "--notification-fd", "7", postern.file],
            stderr=subprocess.PIPE, text=True, timeout=30, check=False, preexec_fn=postern.become,
        )
        self.assertEqual(done.returncode, 100, done.stderr)
        self.assertIn("notification-fd", done.stderr)


if __name__ == "__main__":
    harness.main()
