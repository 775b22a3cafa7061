"""Cases of slow and deaf clients that are the same in every protocol, and what else tests of such clients share."""

import concurrent.futures
import hashlib
import select
import socket
import struct
import time

import connection
import harness
import pressure
from harness import USER

WORKER_KIB_MAX = 4096


def record(kind, octets, version=0x0301):
    """A TLS record; 20 ChangeCipherSpec, 21 alert, 22 handshake, 23 application data."""
    return struct.pack(">BHH", kind, version, len(octets)) + octets


def digest_of_replies(engine, commands, octets):
    """Sends all commands, and reads no reply before nothing more can be sent; then so many octets of replies. Their digest."""
    sock = engine.sock
    sock.setblocking(False)
    commands = iter(commands)
    got, left, waiting, more, stalled = hashlib.sha256(), octets, b"", True, False
    while left:
        while more and not waiting:
            command = next(commands, None)
            more = command is not None
            if more:
                waiting = engine.sealed(command)
        stalled = stalled or not waiting
        readable, writable, _ = select.select(
            [sock] if stalled else [], [sock] if waiting else [], [], 30 if stalled else 1
        )
        if writable:
            waiting = waiting[sock.send(waiting) :]
        elif readable:
            if not engine.take():
                raise AssertionError("the end, %d octets early" % left)
            text = engine.plain()
            got.update(text)
            left -= len(text)
        elif stalled:
            raise AssertionError("nothing moves")
        else:
            stalled = True  # every buffer is full: from here on the replies are read
    return got.hexdigest()


class Patient:
    """Beside a dialect and harness.PosternTest."""

    def check_memory(self, postern, client):
        """The session's workers have not grown."""
        for role in ("protocolbroker", "tlsworker"):
            for worker in postern.worker(role, postern.session_of(client)) if harness.ROOT else ():
                self.assertLess(pressure.private_kib(worker), WORKER_KIB_MAX, worker)

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


class Slow(Patient):
    def test_a_password_of_one_octet_a_second(self):
        postern = self.start(limits={"login_seconds": 4, "handshake_seconds": 2})
        clients = [postern.connect_tls() for _ in self.DRIPS]
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            for client, (before, drip) in zip(clients, self.DRIPS):
                client.send(before)
            done = [pool.submit(self.closed_after, client, 2.5, 9, drip) for client, (_, drip) in zip(clients, self.DRIPS)]
            for each in done:
                each.result()
        for client in clients:
            postern.log.wait("dialogue_end", session=postern.session_of(client), why="login_time")
            client.sock.close()

    def test_a_client_that_never_reads(self):
        """10 MB of commands, of whose answers it takes none: before TLS, before the login, and after it."""
        postern = self.start(limits={"login_seconds": 6, "handshake_seconds": 2})
        for connect in postern.connect, postern.connect_stls, postern.logged_in:
            with self.subTest(connect.__name__), connect() as client:
                session = postern.session_of(client)
                client.sock.settimeout(0.5)
                with self.assertRaises((TimeoutError, ConnectionError)):
                    for _ in range(100):
                        client.sock.sendall(self.raw(self.CAPABILITY) * 17000)
                self.check_memory(postern, client)
                with postern.logged_in() as other:
                    other.ok(self.INSIDE)
                if connect != postern.logged_in:
                    postern.log.wait("dialogue_end", session=session, why="login_time")

    def test_tls_in_records_of_one_octet(self):
        """The ClientHello, and everything inside TLS."""
        postern = self.start()
        with postern.connect() as client:
            client.ok(self.STARTTLS)
            engine = connection.Engine(client.sock, postern.trust())
            hello = engine.hello()[5:]
            client.send(b"".join(record(22, hello[i : i + 1]) for i in range(len(hello))))
            engine.take()
            engine.handshake()
            for said, end in self.conversation(USER, postern.password):
                for octet in said:
                    engine.tls.write(bytes([octet]))
                client.send(engine.records())
                self.assertTrue(engine.until(end).startswith(self.OK))

    def test_a_client_that_reads_octet_by_octet(self):
        postern = self.start()
        client = harness.CLIENTS[self.PROTOCOL](postern.port)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel makes 2304 of it
        client.greeted().starttls(postern.trust()).login(USER, postern.password)
        self.assertEqual(sorted(self.take_messages(client)), sorted(harness.MESSAGES))
