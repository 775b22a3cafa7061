"""What dies, and who lives on: the death of a worker ends its session and no other, that of a role loses no listening
socket, and that of the supervisor ends everything."""

import os
import signal
import socket
import time

import dialect
import harness
from connection import BROKEN
from harness import USER, eventually


def is_broken(client):
    """The session is over, in whatever way."""
    try:
        client.command(b"NOOP")
        return False
    except BROKEN:
        return True


class KillingTest(harness.PosternTest):
    """Base of what is tried with workers."""

    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def kill_worker(self, role, victim):
        session = self.postern.session_of(victim)
        (worker,) = eventually(lambda: self.postern.worker(role, session), "the %s of %08x" % (role, session))
        os.kill(worker.pid, signal.SIGKILL)
        self.assertTrue(is_broken(victim))
        self.postern.log.wait("worker_died", session=session, signal=9)
        self.postern.log.wait("close", session=session)


class WorkerTest(dialect.Pop3, KillingTest):
    BACKEND = "/courierpop3d"

    def test_a_tlsworkers_death_ends_one_session(self):
        victim, other, early = self.postern.logged_in(), self.postern.logged_in(), self.postern.connect_tls()
        self.kill_worker("tlsworker", victim)
        other.ok(self.INSIDE)
        early.login(USER, self.postern.password)
        early.ok(self.INSIDE)
        self.postern.logged_in().ok(self.QUIT)

    def test_a_protocolbrokers_death_ends_one_session(self):
        victim, other, early = self.postern.connect_tls(), self.postern.logged_in(), self.postern.connect_tls()
        self.kill_worker("protocolbroker", victim)
        other.ok(self.INSIDE)
        early.login(USER, self.postern.password)
        self.postern.logged_in().ok(self.QUIT)

    def test_a_backends_death_ends_one_session(self):
        clients = [self.postern.logged_in() for _ in range(3)]
        backends = self.postern.processes(lambda process: process.program().endswith(self.BACKEND))
        self.assertEqual(len(backends), 3)
        os.kill(backends[0].pid, signal.SIGKILL)
        self.postern.log.wait("backend_end", status=128 + 9)
        self.assertEqual(sum(is_broken(client) for client in clients), 1)


class ImapWorkerTest(dialect.Imap, WorkerTest):
    BACKEND = "/imapd"


class PreauthTest(harness.PosternTest):
    """Where postern makes an answer of the backend's greeting: whoever dies meanwhile, all that the session has ends."""

    PROTOCOL = "imap"

    def backends(self, postern):
        return postern.processes(lambda process: process.title().startswith("sleep 1000"))

    def victim(self, postern, role, session):
        return self.backends(postern) if role == "backend" else postern.worker(role, session)

    def test_whoever_dies(self):
        for greeting in ("* PREAUTH ready", "* OK one moment"):
            text = "printf '%s\\r\\n'; exec sleep 1000" % greeting
            service = {"backend": ["/bin/sh", "-c", text], "environment": None, "capabilities": ["IMAP4rev1"]}
            service.update(greeting="preauth", plaintext="allow")
            limits = {"backend_end_seconds": 1, "login_seconds": 3, "handshake_seconds": 1}
            postern = self.start(service=service, limits=limits)
            cases = [("connect", "protocolbroker"), ("connect", "backend"), ("connect_tls", "tlsworker"), ("connect_tls", "backend")]
            if "PREAUTH" not in greeting:  # else it has gone
                cases.append(("connect_tls", "protocolbroker"))
            for connect, role in cases:
                with self.subTest(greeting=greeting, connect=connect, role=role), getattr(postern, connect)() as client:
                    client.send(b"a LOGIN %s %s\r\n" % (USER.encode(), postern.password.encode()))
                    session = postern.session_of(client)
                    eventually(lambda: self.backends(postern), "the backend")
                    if "PREAUTH" in greeting:  # else inside TLS nothing comes before the answer
                        self.assertEqual(client.line(), b"a OK ready")
                    (victim,) = self.victim(postern, role, session)
                    os.kill(victim.pid, signal.SIGKILL)
                    self.assertRegex(client.rest(), rb"^(\* OK one moment\r\n)?(\* BYE .*\r\n)?$")
                    client.sock.close()
                    postern.log.wait("backend_end", session=session, status=128 + 9)
                    postern.log.wait("close", session=session)
                    eventually(lambda: not self.backends(postern), "its end")


class DeletionTest(KillingTest):
    def test_a_tlsworkers_death_deletes_nothing(self):
        before = self.postern.messages()
        victim = self.postern.logged_in()
        victim.ok(b"DELE 1")
        victim.send(b"QUIT")
        self.kill_worker("tlsworker", victim)
        self.postern.log.wait("backend_end")
        self.assertEqual(self.postern.messages(), before)


class RoleTest(harness.PosternTest):
    """Base of what is tried with the roles."""

    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def log_in(self):
        return self.postern.serves(10)

    def kill(self, role):
        (old,) = self.postern.role(role)
        os.kill(old.pid, signal.SIGKILL)
        eventually(lambda: not old.alive(), "its end")
        return old

    def check_role(self, role, survives=True):
        before = self.postern.logged_in()
        early = self.postern.connect_stls()
        for round_number in range(1, 4):
            old = self.kill(role)
            eventually(self.log_in, "a login after the death of the " + role, 30)
            self.assertNotIn(old.pid, [process.pid for process in self.postern.role(role)])
            self.postern.log.wait("role_died", name=role, count=round_number)
            if survives:
                before.ok(self.INSIDE)
                before.ok(b"NOOP")
        if survives:
            before.ok(self.QUIT)
        return early

    def check_protocolbroker(self):
        self.check_role("protocolbroker").login(USER, self.postern.password)

    def check_backendlauncher(self):
        # The backends are its children and go with it.
        early = self.check_role("backendlauncher", survives=False)
        # A session that had not logged in has lost its right to: it is told, or closed.
        try:
            early.send(self.raw_login(USER, self.postern.password))
        except BROKEN:
            pass
        self.assertRegex(early.rest(), self.LATER)


class Pop3RoleTest(dialect.Pop3, RoleTest):
    LATER = rb"^(\+OK.*\r\n(-ERR .*\r\n)?)?$"

    def test_acceptor(self):
        self.check_role("acceptor").login(USER, self.postern.password)

    def test_protocolbroker(self):
        self.check_protocolbroker()

    def test_tlsworker(self):
        self.check_role("tlsworker").login(USER, self.postern.password)

    def test_logger(self):
        self.check_role("logger").login(USER, self.postern.password)
        # What was said while nobody wrote is not lost.
        self.postern.log.wait("login", count=5)

    def test_backendlauncher(self):
        self.check_backendlauncher()

    def test_all_roles_at_once(self):
        for role in harness.ROLES:
            for process in self.postern.role(role):
                os.kill(process.pid, signal.SIGKILL)
        eventually(self.log_in, "a login", 30)


class ImapRoleTest(dialect.Imap, RoleTest):
    """Of the roles that know the protocol, or start what does."""

    LATER = rb"^(x NO \[UNAVAILABLE\] .*\r\n\* BYE .*\r\n)?$"

    def test_protocolbroker(self):
        self.check_protocolbroker()

    def test_backendlauncher(self):
        self.check_backendlauncher()


class EndTest(harness.PosternTest):
    def refused(self, postern):
        try:
            socket.create_connection(("127.0.0.1", postern.pop3), 5).close()
            return False
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            return False

    def test_term_lets_sessions_finish(self):
        postern = self.start(limits={"drain_seconds": 60})
        running, early = postern.logged_in(), postern.connect_stls()
        running.ok(b"DELE 1")
        postern.process.send_signal(signal.SIGTERM)
        eventually(lambda: self.refused(postern), "connections to be refused")
        running.ok(b"STAT")
        early.login(USER, postern.password)
        early.ok(b"QUIT")
        self.assertIsNone(postern.process.poll())
        running.ok(b"QUIT")
        self.assertEqual(running.sock.recv(1), b"")
        started = time.monotonic()
        self.assertEqual(postern.gone(), 0)
        self.assertLess(time.monotonic() - started, 10)
        self.assertEqual(len(postern.messages()), len(harness.MESSAGES) - 1)

    def test_term_with_no_session_ends_at_once(self):
        postern = self.start(limits={"drain_seconds": 60})
        started = time.monotonic()
        self.assertEqual(postern.stop(), 0)
        self.assertLess(time.monotonic() - started, 10)
        self.assertTrue(self.refused(postern))

    def test_stuck_sessions_end_with_the_drain_time(self):
        postern = self.start(limits={"drain_seconds": 1})
        before = postern.messages()
        stuck = [postern.logged_in(), postern.connect_tls(), postern.connect()]
        stuck[0].ok(b"DELE 1")
        started = time.monotonic()
        self.assertEqual(postern.stop(), 0)
        self.assertGreater(time.monotonic() - started, 0.9)
        self.assertLess(time.monotonic() - started, 10)
        for client in stuck:
            self.assertTrue(is_broken(client))
        self.assertEqual(postern.messages(), before)

    def test_int_does_not_wait(self):
        postern = self.start(limits={"drain_seconds": 60})
        client = postern.logged_in()
        postern.process.send_signal(signal.SIGINT)
        started = time.monotonic()
        self.assertEqual(postern.gone(), 0)
        self.assertLess(time.monotonic() - started, 10)
        self.assertTrue(is_broken(client))

    def test_kill_of_the_supervisor_ends_everything(self):
        postern = self.start()
        clients = [postern.logged_in(), postern.connect_tls(), postern.connect()]
        postern.process.kill()
        postern.process.wait()
        eventually(lambda: not postern.processes(), lambda: "%s stay" % postern.processes(), 5)
        self.assertTrue(self.refused(postern))
        for client in clients:
            self.assertTrue(is_broken(client))


if __name__ == "__main__":
    harness.main()
