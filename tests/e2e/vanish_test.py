"""Clients that vanish at every point of a handshake and of a dialogue."""

import itertools
import ssl

import dialect
import harness
import pop3
import vanishing
from harness import USER


class HandshakeTest(dialect.Pop3, vanishing.Vanishing, harness.PosternTest):
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


class DialogueTest(dialect.Pop3, vanishing.Dialogue, harness.PosternTest):
    def script(self, postern):
        one, many = b"+OK", b"."  # line, lines
        yield from ((b"CAPA\r\n", many), (b"STLS\r\n", one), (None, None), (b"CAPA\r\n", many))
        yield b"USER %s\r\n" % USER.encode(), one
        yield b"PASS %s\r\n" % postern.password.encode(), one
        yield from ((b"STAT\r\n", one), (b"RETR 3\r\n", many), (b"DELE 1\r\n", one), (b"LIST\r\n", many))
        yield from ((b"UIDL\r\n", many), (b"NOOP\r\n", one))


if __name__ == "__main__":
    harness.main()
