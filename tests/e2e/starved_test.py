"""Full tables and no memory: the client is told or closed, the log says why, the role lives, and once there is room again
everything goes on. The limits are set from outside on one role's process at a time (RLIMIT_NPROC and the others), which
is what a full system looks like from there."""

import time
import unittest

import harness
import pop3
import pressure
from harness import USER, eventually
from pop3 import BROKEN
from pressure import limited, lowest_free


@unittest.skipUnless(harness.ROOT, "roles of an ordinary user share one uid, and with it the count of its processes")
class StarvedTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()
        self.pids = self.role_pids()

    def role_pids(self):
        return {role: self.postern.role(role)[0].pid for role in harness.ROLES}

    def role(self, name):
        return self.postern.role(name)[0]

    def attempt(self, connect):
        """How far a login comes: "closed" without a word, "refused" with one, or "served". It never hangs."""
        try:
            with connect(seconds=15) as client:
                client.ok(b"USER " + USER.encode())
                reply = client.command(b"PASS " + self.postern.password.encode())
                if reply.startswith(b"-ERR"):
                    return "refused"
                client.ok(b"STAT")
                return "served"
        except TimeoutError:
            raise
        except BROKEN:
            return "closed"

    def attempts(self):
        return [self.attempt(connect) for connect in (self.postern.connect_stls, self.postern.connect_tls)]

    def check_recovered(self):
        self.assertEqual(self.attempts(), ["served"] * 2)
        self.assertEqual(self.role_pids(), self.pids)
        eventually(lambda: not self.postern.workers(), lambda: self.postern.workers())
        find = self.postern.log.find  # what was refused was not closed
        over = lambda: len(find("close")) + len(find("refused", role="acceptor")) == len(find("accept"))
        self.postern.log.until(over, "end of all sessions")


class ProcessesTest(StarvedTest):
    def test_protocolbroker(self):
        with limited(self.role("protocolbroker"), "nproc", 0):
            self.assertEqual(self.attempts(), ["closed"] * 2)
            self.postern.log.wait("refused", role="protocolbroker", why="fork", count=2)
        self.check_recovered()

    def test_tlsworker(self):
        with limited(self.role("tlsworker"), "nproc", 0):
            self.assertEqual(self.attempts(), ["closed"] * 2)
            self.postern.log.wait("refused", role="tlsworker", why="fork", count=2)
            self.postern.log.wait("dialogue_end", why="tls_failed", count=2)
            with self.postern.connect() as client:  # what needs none of it is served
                client.ok(b"QUIT")
        self.check_recovered()

    def test_backendlauncher(self):
        with self.postern.logged_in() as before:
            with limited(self.role("backendlauncher"), "nproc", 0):
                self.assertEqual(self.attempts(), ["refused"] * 2)
                self.postern.log.wait("login_failed", why="system", count=2)
                before.ok(b"STAT")
            before.ok(b"QUIT")
        self.check_recovered()


class DescriptorsTest(StarvedTest):
    def check_role(self, name, rooms):
        """With so many descriptors to be had: at first none, at last enough."""
        outcomes = []
        role = self.role(name)
        before = len(role.descriptors())
        for room in rooms:
            with limited(role, "nofile", lowest_free(role) + room):
                outcomes.append(self.attempts())
            self.check_recovered()
            self.assertEqual(len(role.descriptors()), before)
        self.assertNotIn("served", outcomes[0])
        self.assertEqual(outcomes[-1], ["served"] * 2)

    def test_protocolbroker(self):
        self.check_role("protocolbroker", [*range(6), 12])

    def test_tlsworker(self):
        self.check_role("tlsworker", [*range(6), 14, 15, 24])  # two of a worker's have numbers of their own, above 16

    def test_backendlauncher(self):
        self.check_role("backendlauncher", [*range(12), 16])
        self.postern.log.wait("login_failed", why="system")

    def test_acceptor(self):
        role = self.role("acceptor")
        for room in range(5):  # client, both ends of the line, both of the life pipe
            with self.subTest(room=room), limited(role, "nofile", lowest_free(role) + room):
                paused = len(self.postern.log.find("accept_paused"))
                client = pop3.Client(self.postern.pop3)  # by the kernel
                if room == 0:
                    self.postern.log.wait("accept_paused", count=paused + 1)
                    self.check_no_spin(role)
                    self.assertEqual(len(self.postern.log.find("accept_paused")), paused + 1)
                else:
                    self.assert_closed(client)
                    self.postern.log.wait("refused", role="acceptor", why="system", count=room)
            if room == 0:
                client.greeted().ok(b"QUIT")  # it waited in the queue
            client.sock.close()
            self.check_recovered()

    def check_no_spin(self, process, seconds=1):
        before, started = pressure.cpu_seconds(process), time.monotonic()
        time.sleep(seconds)  # what is measured is the time in which nothing happens
        self.assertLess(pressure.cpu_seconds(process) - before, 0.1 * (time.monotonic() - started))


class MemoryTest(StarvedTest):
    """No octet beyond what malloc has in hand. Who cannot go on without may end, if it is started again."""

    def check_role(self, name):
        with limited(self.role(name), "as", 1):
            outcomes = self.attempts()
            held = [pop3.Client(self.postern.pop3) for _ in range(500)]
            for client in held:
                client.sock.close()
            outcomes += self.attempts()
        eventually(lambda: self.attempts() == ["served"] * 2, "a login")
        return outcomes

    def test_roles_that_need_little(self):
        for name in ("protocolbroker", "tlsworker"):
            outcomes = self.check_role(name)
            self.assertEqual(outcomes[:2], ["served"] * 2)
            # With 500 clients at one time a zygote may want a page for its list of workers, and end.
            self.assertLessEqual(set(outcomes), {"served", "closed"})
        self.check_recovered()

    def test_roles_that_hold_something_for_every_session(self):
        for name in ("acceptor", "logger"):
            self.check_role(name)

    def test_the_launcher_outlives_it(self):
        """Its end would be the end of every backend."""
        (launcher,) = self.postern.role("backendlauncher")
        with self.postern.logged_in() as client:
            self.assertEqual(self.check_role("backendlauncher")[:2], ["refused"] * 2)  # nothing can be executed
            client.ok(b"STAT")
        self.assertTrue(launcher.alive())


if __name__ == "__main__":
    harness.main()
