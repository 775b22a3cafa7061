"""Clients that vanish, by FIN and by RST, at every point of a handshake and of a dialogue: nothing of them stays, neither
process nor descriptor nor slot, and nothing is deleted that they did not commit."""

import itertools
import socket
import ssl
import struct

import harness
import pop3
from harness import USER, eventually

SESSIONS_AT_ONCE = 40  # vanished ones may still be on their way out; a leak of more than these is refused service


class VanishTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start(limits={"sessions": SESSIONS_AT_ONCE, "handshake_seconds": 5, "login_seconds": 10})
        self.postern.logged_in().ok(b"QUIT")
        self.before = self.descriptors()
        self.messages = self.postern.messages()

    def tearDown(self):
        self.assertEqual(self.descriptors(), self.before)
        self.assertEqual(self.postern.messages(), self.messages)
        self.postern.logged_in().ok(b"QUIT")
        for trouble in ("refused", "worker_died", "worker_failed", "bad_request", "role_died"):
            self.assertEqual(self.postern.log.find(trouble), [])

    def descriptors(self):
        """Of every role, once no session is left."""
        eventually(lambda: not self.postern.workers(), lambda: self.postern.workers())
        find = self.postern.log.find
        self.postern.log.until(lambda: len(find("accept")) == len(find("close")), "end of all sessions")
        eventually(lambda: len(find("login")) == len(find("backend_end")), "end of all backends")
        if not harness.ROOT:
            return None
        return {role: len(self.postern.role(role)[0].descriptors()) for role in harness.ROLES}

    def vanish(self, client, reset):
        if reset:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()

    def make_room(self):
        """Waits until few sessions are left, so that none is refused."""
        find = self.postern.log.find
        self.postern.log.until(lambda: len(find("accept")) - len(find("close")) < SESSIONS_AT_ONCE // 2, "room")

    def before_tls(self, stls):
        self.make_room()
        client = pop3.Client(self.postern.pop3 if stls else self.postern.pop3s)
        self.postern.session_of(client)  # has been accepted
        if not stls:
            return client
        client.greeted()
        client.ok(b"STLS")
        return client

    def contexts(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            yield self.postern.trust(minimum_version=version, maximum_version=version)

    def test_in_the_client_hello(self):
        for context, stls, reset in itertools.product(self.contexts(), (False, True), (False, True)):
            hello = pop3.Engine(None, context).hello()
            for octets in {*range(0, len(hello), 23), 1, 4, 5, 6, 9, len(hello) - 1, len(hello)}:
                client = self.before_tls(stls)
                client.send(hello[:octets])
                self.vanish(client, reset)

    def test_in_the_second_flight(self):
        for context, stls, reset in itertools.product(self.contexts(), (False, True), (False, True)):
            flight = self.second_flight(self.before_tls(stls), context)[0]
            for octets in {*range(0, len(flight), 11), 1, len(flight) - 1, len(flight)}:
                again, client = self.second_flight(self.before_tls(stls), context)
                client.send(again[:octets])
                self.vanish(client, reset)

    def second_flight(self, client, context):
        """The octets that answer the server's first flight, not yet sent, and the client."""
        engine = pop3.Engine(client.sock, context)
        client.send(engine.hello())
        while True:
            engine.take()
            octets = engine.hello()  # goes on where it was
            if octets:
                return octets, client

    def test_in_the_dialogue(self):
        password = b"PASS " + self.postern.password.encode()
        script = [b"CAPA", b"STLS", None, b"CAPA", b"USER " + USER.encode(), password]
        script += [b"STAT", b"RETR 3", b"DELE 1", b"LIST", b"UIDL", b"NOOP"]
        for reset, steps in itertools.product((False, True), range(len(script) + 1)):
            for last in ("answered", "unanswered", "half"):  # the last line of the steps
                client = self.postern.connect()
                self.make_room()
                for number, line in enumerate(script[:steps]):
                    whole = number + 1 < steps or last == "answered"
                    if line is None:
                        client.handshake(self.postern.trust())
                    elif whole:
                        client.ok(line)
                        if line in (b"CAPA", b"RETR 3", b"LIST", b"UIDL"):
                            client.lines()
                    else:
                        client.send(line + b"\r\n" if last == "unanswered" else line[: len(line) // 2 + 1])
                self.vanish(client, reset)
        # What a session that was lost in the middle of a login had started is over too.
        eventually(lambda: len(self.postern.log.find("login")) == len(self.postern.log.find("backend_end")), "ends")


if __name__ == "__main__":
    harness.main()
