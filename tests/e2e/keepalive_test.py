"""Clients that vanish without a word: the kernel asks for them, and then nothing of their sessions stays. Those that are only
silent are let be."""

import socket
import struct
import unittest

import harness
import network
import pop3
from harness import USER, eventually

KEEPALIVE = 10
GONE = 2 * KEEPALIVE  # as postern.toml(5) says
SLACK = 15  # the kernel's timers are not exact, and octets that have just been sent are waited for a little longer
TICKING = "printf '+OK ticking\\r\\n'; while printf '+OK tick\\r\\n'; do sleep 0.2; done"
SELFLOGIN = {"login": "backend", "checkpassword": None}


class Population:
    """One postern on the network that takes no more clients than are given to it here: those that are going to vanish, and
    those that stay."""

    def __init__(self, test, port, sessions, **service):
        listen = {"listen": ["0.0.0.0:%d" % port], "listen_tls": ["0.0.0.0:%d" % (port + 1)], "plaintext": "allow"}
        limits = {"sessions": sessions, "keepalive_seconds": KEEPALIVE}
        self.network = test.network
        self.postern = test.prepare(service={**listen, **service}, limits=limits)
        self.postern.prefix = self.network.server.command()
        self.postern.pop3, self.postern.pop3s = port, port + 1
        test.addCleanup(test.end, self.postern)
        self.postern.start()
        self.vanishing, self.staying = [], []
        test.addCleanup(self.close)

    def connect(self, connect, vanishes):
        source = network.VANISHING if vanishes else network.STAYING
        client = self.network.client.call(connect, host=network.SERVER, source=source)
        # The kernel keeps a namespace for as long as a socket in it has something to say.
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        (self.vanishing if vanishes else self.staying).append(client)
        return client

    def enter(self, connect, vanishes):
        client = self.connect(connect, vanishes)
        client.login(USER, self.postern.password)
        return client

    def enter_all(self):
        for connect in self.postern.connect, self.postern.connect_stls, self.postern.connect_tls:
            self.enter(connect, vanishes=True)
        self.enter(self.postern.connect_stls, vanishes=False)
        self.enter(self.postern.connect, vanishes=False)

    def full(self):
        refused = len(self.postern.log.find("refused"))
        self.network.client.call(pop3.Client, self.postern.pop3, host=network.SERVER).sock.close()
        self.postern.log.wait("refused", count=refused + 1, why="sessions")

    def await_end(self, clients):
        for session in map(self.postern.session_of, clients):
            close = self.postern.log.wait("close", session=session, seconds=GONE + SLACK)
            if int(close.fields["ms"]) < 1000 * GONE:
                raise AssertionError("before its time: %s" % close)
        logins = [event.session for event in self.postern.log.find("login") + self.postern.log.find("backend")]
        for session in {*logins} & {*map(self.postern.session_of, clients)}:
            self.postern.log.wait("backend_end", session=session)

    def check_processes(self):
        """No worker is left but of those that stay."""
        sessions = {*map(self.postern.session_of, self.staying)}
        workers = lambda: {self.postern._session_of_title(worker) for worker in self.postern.workers()}
        eventually(lambda: workers() <= sessions, lambda: self.postern.workers())

    def close(self):
        for client in self.vanishing + self.staying:
            client.sock.close()


@unittest.skipUnless(harness.ROOT, "only root has network namespaces")
class VanishedTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.network = network.Network()
        self.addCleanup(self.network.close)

    def test_nothing_stays_of_them(self):
        """All in one, for the time that they have to be waited for."""
        quiet = Population(self, 1110, 6)
        quiet.enter_all()
        quiet.connect(quiet.postern.connect, vanishes=True)
        relayed = Population(self, 1210, 5, **SELFLOGIN, **self.installation.backend("selflogin", "by-the-backend"))
        relayed.postern.password = "by-the-backend"
        relayed.enter_all()
        # Octets on their way, of which the last are never acknowledged: then the kernel does not ask.
        ticking = Population(self, 1310, 5, backend=["/bin/sh", "-c", TICKING], environment=None)
        ticking.enter_all()
        # One that is there and takes nothing fares no better.
        deaf = Population(self, 1410, 1, **self.installation.backend("bulk"))
        deaf.enter(deaf.postern.connect_stls, vanishes=False).ok(b"SEND 100000000")

        populations = (quiet, relayed, ticking)
        for population in populations:
            population.full()
        self.network.vanish()
        for population in populations:
            population.await_end(population.vanishing)
            population.check_processes()
        deaf.await_end(deaf.staying)
        # Those that were only silent are still there, and the others' places are free.
        for population in (quiet, relayed):
            for client in population.staying:
                client.ok(b"STAT")
            for _ in population.vanishing:
                population.enter(population.postern.connect_stls, vanishes=False)
            population.full()


if __name__ == "__main__":
    harness.main()
