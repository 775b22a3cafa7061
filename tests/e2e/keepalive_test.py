"""Clients that vanish without a word: the kernel asks for them, and then nothing of their sessions stays. Those that are only
silent are let be, and cost nothing."""

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
PREAUTH = "printf '* PREAUTH ready\\r\\n'; while read -r tag command; do printf '%s OK done\\r\\n' \"$tag\"; done"
PASSWORD = "by-the-backend"  # where it does the login itself


class Population:
    """One postern on the network that takes so many clients and no more; those that are going to vanish, and the others."""

    def __init__(self, test, port, sessions, protocol="pop3", **service):
        listen = {"listen": ["0.0.0.0:%d" % port], "listen_tls": ["0.0.0.0:%d" % (port + 1)], "plaintext": "allow"}
        limits = {"sessions": sessions, "keepalive_seconds": KEEPALIVE}
        self.network = test.network
        self.postern = test.prepare(protocol=protocol, service={**listen, **service}, limits=limits)
        self.postern.prefix = [*self.network.server.command(), *self.postern.prefix]
        self.postern.port, self.postern.tls_port = port, port + 1
        if service.get("login") == "backend":
            self.postern.password = PASSWORD
        test.addCleanup(test.end, self.postern)
        self.postern.start()
        self.vanishing, self.staying = [], []
        test.addCleanup(self.close)

    def close(self):
        for client in self.vanishing + self.staying:
            client.sock.close()

    def connect(self, connect, vanishes=False):
        """In the way that `connect` says; not logged in."""
        source = network.VANISHING if vanishes else network.STAYING
        client = self.network.client.call(connect, host=network.SERVER, source=source)
        # The kernel keeps a namespace for as long as a socket in it has something to say.
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        (self.vanishing if vanishes else self.staying).append(client)
        return client

    def enter(self, connect, vanishes=False):
        client = self.connect(connect, vanishes)
        client.login(USER, self.postern.password)
        return client

    def enter_all_ways(self, vanishes=False):
        for connect in self.postern.connect, self.postern.connect_stls, self.postern.connect_tls:
            self.enter(connect, vanishes)

    def enter_idle_all_ways(self, vanishes=False):
        """And IMAP's IDLE."""
        clients = self.vanishing if vanishes else self.staying
        others = len(clients)
        self.enter_all_ways(vanishes)
        for client in clients[others:]:
            client.ok(b"SELECT INBOX")
            client.command(b"IDLE")

    def sessions(self, clients):
        return {self.postern.session_of(client) for client in clients}

    def check_full(self):
        refused = len(self.postern.log.find("refused"))
        self.network.client.call(pop3.Client, self.postern.port, host=network.SERVER).sock.close()
        self.postern.log.wait("refused", count=refused + 1, why="sessions")

    def await_end(self, clients):
        log, sessions = self.postern.log, self.sessions(clients)
        for session in sessions:
            close = log.wait("close", session=session, seconds=GONE + SLACK)
            if int(close.fields["ms"]) < 1000 * GONE:
                raise AssertionError("before its time: %s" % close)
        for session in sessions & {event.session for event in log.find("login") + log.find("backend")}:
            log.wait("backend_end", session=session)
        for session in sessions:
            eventually(lambda: not self.workers_of(session), lambda: self.workers_of(session))

    def workers_of(self, session):
        return self.postern.worker("protocolbroker", session) + self.postern.worker("tlsworker", session)


class Resting(Population):
    """Silent clients before and after the login. `workers`: how many processes of ours are theirs."""

    def __init__(self, test, port, workers, protocol="pop3", **service):
        super().__init__(test, port, 5, protocol, **service)
        self.workers = workers
        for connect in self.postern.connect, self.postern.connect_stls:
            self.connect(connect)
        if protocol == "imap":
            self.enter_idle_all_ways()
        else:
            self.enter_all_ways()

    def switches(self):
        """Of every process, backends excepted: {pid: (title, how often it has run)}, once all sleep."""
        return eventually(self._switches, lambda: "rest, with %d workers: %s" % (self.workers, self.postern.processes()))

    def _switches(self):
        ours = self.postern.processes(lambda process: process.program().startswith(self.postern.path("stage/")))
        if len(self.postern.workers()) != self.workers or not all(process.sleeps() for process in ours):
            return None
        return {process.pid: (process.title(), process.switches()) for process in ours}


@unittest.skipUnless(harness.ROOT, "only root has network namespaces")
class KeepaliveTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.network = network.Network()
        self.addCleanup(self.network.close)

    def test_the_vanished_and_the_silent(self):
        """All in one, for the time that they have to be waited for."""
        login = {"login": "backend", "checkpassword": None, **self.installation.backend("selflogin", PASSWORD)}
        ticking = {"backend": ["/bin/sh", "-c", TICKING], "environment": None}
        preauth = {"greeting": "preauth", "backend": ["/bin/sh", "-c", PREAUTH], "environment": None}
        # Handed over and relayed; before the login too.
        quiet = (
            Population(self, 1110, 6),
            Population(self, 1210, 6, **login),
            Population(self, 2010, 6, protocol="imap", **preauth),
        )
        for population in quiet:
            population.enter_all_ways(vanishes=True)
            population.connect(population.postern.connect, vanishes=True)
            population.enter(population.postern.connect)
            population.enter(population.postern.connect_stls)
        # Octets on their way, of which the last are never acknowledged: then the kernel does not ask.
        busy = Population(self, 1310, 3, **ticking)
        busy.enter_all_ways(vanishes=True)
        # In IDLE, and told of a message when they have gone.
        courier = harness.courier_service("imap", self.installation.path("courier"))
        polling = {**courier["environment"], "IMAP_IDLE_TIMEOUT": "1"}
        idling = Population(self, 1810, 3, protocol="imap", environment=polling)
        idling.enter_idle_all_ways(vanishes=True)
        # One that is there and takes nothing fares no better.
        deaf = Population(self, 1410, 1, **self.installation.backend("bulk"))
        deaf.enter(deaf.postern.connect_stls).ok(b"SEND 100000000")
        # Each client inside TLS has a tlsworker. The broker's workers stay before the login and where they relay: for all
        # five where they answer CAPA, and in clear text where the backend does the login or says PREAUTH.
        resting = (
            Resting(self, 1510, workers=3 + 2),
            Resting(self, 1610, workers=3 + 2, **login, capabilities=None),
            Resting(self, 1710, workers=3 + 5, **login),
            Resting(self, 1910, workers=3 + 2, protocol="imap"),
            Resting(self, 2110, workers=3 + 3, protocol="imap", **preauth),
        )

        populations = (*quiet, busy, idling)
        for population in populations:
            population.check_full()
        before = [population.switches() for population in resting]
        self.network.vanish()
        idling.postern.deliver("1800000000.1.localhost")
        for population in populations:
            population.await_end(population.vanishing)
        deaf.await_end(deaf.staying)

        # Nobody was woken, neither by a clock of ours nor by the kernel's questions.
        self.assertEqual([population.switches() for population in resting], before)
        # The silent are still served, and the places of the others are free.
        for population in (*quiet, *resting):
            for client in population.staying:
                client.send(b"DONE\r\n")  # ends IDLE, and is refused elsewhere
                client.line()
        for population in quiet:
            for _ in population.vanishing:
                population.enter(population.postern.connect_stls)
            population.check_full()


if __name__ == "__main__":
    harness.main()
