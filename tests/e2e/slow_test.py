"""Clients that are slow, deaf, broken up or many: limits are absolute, memory is bounded, others do not wait."""

import os
import random
import socket
import ssl
import struct
import time

import harness
import pop3
import pressure
from harness import USER, eventually

WORKER_KIB_MAX = 4096


def record(kind, octets, version=0x0301):
    """A TLS record; 20 ChangeCipherSpec, 21 alert, 22 handshake, 23 application data."""
    return struct.pack(">BHH", kind, version, len(octets)) + octets


class PatientTest(harness.PosternTest):
    def check_memory(self, postern, client):
        """The session's workers have not grown."""
        for role in ("protocolbroker", "tlsworker"):
            for worker in postern.worker(role, postern.session_of(client)) if harness.ROOT else ():
                self.assertLess(pressure.private_kib(worker), WORKER_KIB_MAX, worker)


class SlowTest(PatientTest):
    def closed_after(self, client, low, high, drip=b""):
        """Within so many seconds of now, though an octet is sent each second (and as the first one)."""
        started = time.monotonic()
        sock = client.sock
        sock.settimeout(1)
        for octet in drip + b"\0" * 100:
            try:
                sock.sendall(bytes([octet]))
                while sock.recv(4096):
                    pass
                break
            except TimeoutError:
                self.assertLess(time.monotonic() - started, high)
            except OSError:
                break
        self.assertGreater(time.monotonic() - started, low)

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

    def test_a_password_of_one_octet_a_second(self):
        postern = self.start(limits={"login_seconds": 4, "handshake_seconds": 2})
        with postern.connect_tls() as client:
            client.ok(b"USER " + USER.encode())
            self.closed_after(client, 2.5, 9, b"PASS it takes its time")
        postern.log.wait("dialogue_end", why="login_time")

    def test_a_client_that_never_reads(self):
        """10 MB of commands, of whose answers it takes none: before TLS, before the login, and after it."""
        postern = self.start(limits={"login_seconds": 6, "handshake_seconds": 2})
        for connect in postern.connect, postern.connect_stls, postern.logged_in:
            with self.subTest(connect.__name__), connect() as client:
                session = postern.session_of(client)
                client.sock.settimeout(0.5)
                with self.assertRaises((TimeoutError, ConnectionError)):
                    for _ in range(100):
                        client.sock.sendall(b"CAPA\r\n" * 17000)
                self.check_memory(postern, client)
                with postern.logged_in() as other:
                    other.ok(b"STAT")
                if connect != postern.logged_in:
                    postern.log.wait("dialogue_end", session=session, why="login_time")

    def test_tls_in_records_of_one_octet(self):
        """The ClientHello, and everything inside TLS."""
        postern = self.start()
        with postern.connect() as client:
            client.ok(b"STLS")
            engine = pop3.Engine(client.sock, postern.trust())
            hello = engine.hello()[5:]
            client.send(b"".join(record(22, hello[i : i + 1]) for i in range(len(hello))))
            engine.take()
            engine.handshake()
            for line in (b"USER " + USER.encode(), b"PASS " + postern.password.encode(), b"RETR 1"):
                for octet in line + b"\r\n":
                    engine.tls.write(bytes([octet]))
                client.send(engine.records())
                self.assert_ok(engine.until(b"\r\n"))

    def test_a_client_that_reads_octet_by_octet(self):
        postern = self.start()
        client = pop3.Client(postern.pop3)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel makes 2304 of it
        client.greeted().stls(postern.trust()).login(USER, postern.password)
        client.ok(b"RETR 3")
        text = b"".join(line + b"\n" for line in client.lines())
        self.assertEqual(text, harness.MESSAGES[2])

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


class GarbageTest(PatientTest):
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
