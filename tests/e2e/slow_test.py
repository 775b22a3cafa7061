"""Clients that are slow, deaf, broken up or many: limits are absolute, memory is bounded, others do not wait."""

import os
import random
import socket
import ssl
import struct
import time

import dialect
import harness
import patience
import pop3
from harness import USER, eventually
from patience import record

class SlowTest(dialect.Pop3, patience.Slow, harness.PosternTest):
    def test_a_second_flight_of_one_octet_a_second(self):
        postern = self.start(limits={"handshake_seconds": 3})
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = postern.trust(minimum_version=version, maximum_version=version)
            with pop3.Client(postern.pop3s) as client:
                engine = pop3.Engine(client.sock, context)
                client.send(engine.hello())
                octets = b""
                while not octets:
                    engine.take()
                    octets = engine.hello()
                self.closed_after(client, 1.5, 6, octets)
        postern.log.wait("tls_failed", count=2)

    def test_a_thousand_silent_connections(self):
        postern = self.start(limits={"sessions": 3000, "sessions_per_address": 1100})
        silent = []
        for number in range(1000):
            sock = socket.socket()
            sock.bind(("127.0.0.2", 0))
            sock.connect(("127.0.0.1", (postern.pop3, postern.pop3s)[number % 2]))
            silent.append(sock)
        postern.log.wait("accept", count=1000)
        for _ in range(10):
            started = time.monotonic()
            with postern.logged_in() as client:
                client.ok(b"STAT")
            self.assertLess(time.monotonic() - started, 2)
        self.assertEqual(postern.log.find("refused"), [])
        for sock in silent:
            sock.close()
        postern.log.wait("close", count=1010, seconds=60)


class GarbageTest(patience.Patient, harness.PosternTest):
    """Instead of TLS."""

    def garbage(self, postern):
        hello = pop3.Engine(None, postern.trust()).hello()
        ssl2 = b"\x01\x00\x02" + struct.pack(">HHH", 9, 0, 16) + b"\x01\x00\x80\x03\x00\x80\x07\x00\xc0" + os.urandom(16)
        return {
            "chance": random.Random(1).randbytes(100_000),
            "zeros": bytes(1_000_000),
            "SSLv2": struct.pack(">H", 0x8000 | len(ssl2)) + ssl2,
            "a handshake of 16 MiB": b"".join(record(22, b"\1\xff\xff\xff" + bytes(16000)) for _ in range(1000)),
            "a record too long": struct.pack(">BHH", 22, 0x0301, 65535) + bytes(65535),
            "warnings": record(21, b"\1\0") * 20_000 + hello,
            "empty handshakes": record(22, b"") * 20_000 + hello,
            "empty data": record(23, b"") * 20_000 + hello,
            "ChangeCipherSpec": record(20, b"\1") * 20_000 + hello,
            "hellos": hello * 100,
            "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000,
        }

    def test_before_and_in_the_handshake(self):
        postern = self.start(limits={"handshake_seconds": 3})
        failed = 0
        for what, octets in self.garbage(postern).items():
            for stls in (False, True):
                with self.subTest(what=what, stls=stls):
                    client = postern.connect() if stls else pop3.Client(postern.pop3s)
                    if stls:
                        client.ok(b"STLS")
                    started = time.monotonic()
                    client.sock.settimeout(20)
                    try:
                        client.send(octets)
                    except OSError:
                        pass
                    self.check_memory(postern, client)
                    said = client.rest()
                    if what != "hellos":  # whose first is a good one
                        self.assertTrue(said == b"" or said[0] == 21, said[:20])
                    self.assertLess(time.monotonic() - started, 8)
                    failed += 1
                    postern.log.wait("tls_failed", count=failed)
                    client.sock.close()
        self.check_served(postern)

    def check_served(self, postern):
        with postern.logged_in() as client:
            client.ok(b"STAT")
        eventually(lambda: not postern.workers(), lambda: postern.workers())
        self.assertEqual(postern.log.find("worker_died"), [])

    def test_behind_the_handshake(self):
        """Octets that no key of the session has seen: the end of it, and the backend gets none of them."""
        postern = self.start()
        for octets in (b"QUIT\r\n", bytes(100_000), record(23, bytes(64)), record(21, b"\1\0"), record(22, b"\0\0\0\0")):
            for login in (False, True):
                with self.subTest(octets=octets[:8], login=login):
                    client = pop3.Client(postern.pop3s)
                    engine = pop3.Engine(client.sock, postern.trust()).handshake()
                    engine.until(b"\r\n")
                    if login:
                        engine.send(b"USER %s\r\nPASS %s\r\nDELE 1\r\n" % (USER.encode(), postern.password.encode()))
                        engine.until(b"+OK Deleted.\r\n")
                    session = postern.session_of(client)
                    try:
                        client.send(octets)
                    except OSError:
                        pass
                    client.rest()
                    postern.log.wait("tls_end", session=session, why="client_lost")
                    client.sock.close()
        self.check_served(postern)
        self.assertEqual(len(postern.messages()), len(harness.MESSAGES))


if __name__ == "__main__":
    harness.main()
