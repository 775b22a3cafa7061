"""Deaths in the middle of 200 sessions: only what must end ends, and the next client hardly waits. docs/processes.md says
what must: a worker's death ends its session, the launcher's all backends."""

import os
import signal
import time

import harness
import population
from harness import USER, eventually
from population import Greeted, InTls, LoggedIn, Retrieving, dead, gather

EACH = 50  # of the four kinds
LIMIT = 260  # sessions of one address: that number of slots is there again at the end


class KillTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.prepare(limits={"sessions_per_address": LIMIT})
        population.hold_large_message(self.postern)
        self.addCleanup(self.end, self.postern)
        self.postern.start()

    def log_in(self):
        return self.postern.serves(1)

    def backends(self):
        return self.postern.processes(lambda process: process.program().endswith("/courierpop3d"))

    def usual_seconds(self):
        started = time.monotonic()
        self.assertTrue(self.log_in())
        return time.monotonic() - started

    def kill(self, role):
        """Seconds from the death of the role to the end of the next login."""
        (old,) = self.postern.role(role)
        started = time.monotonic()
        os.kill(old.pid, signal.SIGKILL)
        eventually(lambda: not old.alive(), "its end")
        eventually(self.log_in, "a login after the death of the " + role)
        return time.monotonic() - started

    def check_back(self, role):
        usual = self.usual_seconds()  # the machine may be busy with other tests
        self.assertLess(self.kill(role), 1 + 10 * usual)
        self.postern.log.wait("role_died", name=role, count=1)

    def check_slots(self):
        """All are free: so many get in, and one more does not."""
        eventually(lambda: not self.postern.workers(), lambda: self.postern.workers())
        eventually(lambda: not self.backends(), self.backends)
        clients = [self.postern.connect() for _ in range(LIMIT)]
        harness.pop3.Client(self.postern.pop3).rest()
        self.postern.log.wait("refused", why="sessions_per_address", count=1)
        for client in clients:
            client.sock.close()

    def finish(self, members):
        """Those that live go on to the end they were made for."""
        kinds = {kind: [member for member in members if isinstance(member, kind)] for kind in (Greeted, InTls, Retrieving)}
        for member in kinds[Greeted][:5]:
            member.client.stls(self.postern.trust())
        for member in kinds[Greeted][:5] + kinds[InTls][:5]:
            member.client.login(USER, self.postern.password)
            member.client.ok(b"QUIT")
        for member in kinds[Retrieving][:10]:
            member.finish()
        population.close(members)
        self.check_slots()

    def check_survived(self, role):
        members = gather(self.postern, EACH)
        self.check_back(role)
        self.assertEqual(dead(members), [])
        self.finish(members)

    def test_acceptor(self):
        self.check_survived("acceptor")

    def test_protocolbroker_and_tlsworker_and_logger(self):
        members = gather(self.postern, EACH)
        for role in ("protocolbroker", "tlsworker", "logger"):
            with self.subTest(role=role):
                self.check_back(role)
                self.assertEqual(dead(members), [])
        self.finish(members)

    def test_backendlauncher(self):
        members = gather(self.postern, EACH)
        self.check_back("backendlauncher")
        with_backend = [member for member in members if isinstance(member, (LoggedIn, Retrieving))]
        for member in with_backend:  # to the end of what was under way
            rest = member.client.rest()
            if isinstance(member, Retrieving):
                self.assertLess(len(rest), member.left())
        self.assertEqual({*dead(members)}, {*with_backend})
        # Those that have not logged in have lost their right to, and are told.
        for member in members:
            if isinstance(member, InTls):
                member.client.ok(b"USER " + USER.encode())
                self.assert_err(member.client.command(b"PASS " + self.postern.password.encode()))
        population.close(members)
        self.check_slots()

    def test_single_workers_and_a_backend(self):
        members = gather(self.postern, EACH)
        victims = members[:4] + [members[5]]  # one of each kind, and another in TLS
        for victim, role in zip(victims, ["protocolbroker"] + ["tlsworker"] * 3 + ["protocolbroker"]):
            (worker,) = self.postern.worker(role, victim.session)
            os.kill(worker.pid, signal.SIGKILL)
            self.postern.log.wait("worker_died", session=victim.session, signal=9)
            victim.client.rest()
        self.postern.log.wait("backend_end", count=2)  # of the victims
        os.kill(self.backends()[0].pid, signal.SIGKILL)
        ended = self.postern.log.wait("backend_end", status=128 + 9)
        victims += [member for member in members if member.session == ended.session]
        victims[-1].client.rest()
        self.assertEqual({*dead(members)}, {*victims})
        self.finish([member for member in members if member not in victims])


if __name__ == "__main__":
    harness.main()
