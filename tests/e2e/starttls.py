"""Cases that are the same in every protocol: the change from clear text to TLS, how fronts fail at it, and lines that are too much.
What is sent where it should not be is never obeyed, never answered inside TLS, and never ends the service."""

import socket
import ssl

import connection
import harness
import pressure
from harness import USER


class Cases:
    """With a dialect and harness.PosternTest."""

    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def tearDown(self):
        with self.postern.logged_in() as client:  # whatever happened, the next client is served
            client.ok(self.INSIDE)


class Injection(Cases):
    def check_refused(self, client):
        """One refusal at most (a reset may swallow it), the end, and a line in the log that names it."""
        said = client.rest()
        self.assertTrue(said == b"" or (said.startswith(self.REFUSED) and said.count(b"\r\n") == 1), said)
        session = self.postern.session_of(client)
        self.postern.log.wait("dialogue_end", session=session, why="injection")
        self.assertEqual(self.postern.log.find("tls", session=session), [])

    def test_a_command_in_the_segment_of_starttls(self):
        login = self.raw_login(USER, self.postern.password)
        again, capability, end = self.raw(self.STARTTLS), self.raw(self.CAPABILITY), self.raw(self.QUIT)
        for behind in (capability, b"\r\n", b"X", again, end, login, b"A" * 4096):
            with self.subTest(behind=behind[:9]), self.postern.connect() as client:
                client.send(again + behind)
                self.check_refused(client)
        self.assertEqual(self.postern.log.find("login"), [])

    def test_a_client_hello_in_the_segment_of_starttls_is_never_taken_for_a_command(self):
        with self.postern.connect() as client:
            client.send(self.raw(self.STARTTLS) + connection.Engine(client.sock, self.postern.trust()).hello())
            self.check_refused(client)

    def test_a_command_after_the_reply_instead_of_a_client_hello(self):
        login, end = self.raw_login(USER, self.postern.password), self.raw(self.QUIT)
        for instead in (self.raw(self.CAPABILITY), login, b"\0" * 64, end * 100):
            with self.subTest(instead=instead[:9]), self.postern.connect() as client:
                client.ok(self.STARTTLS)
                client.send(instead)
                said = client.rest()
                self.assertTrue(said == b"" or said[0] == 21, said)  # nothing, or a TLS alert
                self.postern.log.wait("tls_failed", session=self.postern.session_of(client))
        self.assertEqual(self.postern.log.find("login"), [])

    def test_no_clear_text_after_a_failed_handshake(self):
        other, _ = self.installation.make_certificate("stranger")
        client = self.postern.connect()
        client.ok(self.STARTTLS)
        raw = socket.socket(fileno=socket.dup(client.sock.fileno()))
        raw.settimeout(30)
        with self.assertRaises(ssl.SSLCertVerificationError):
            client.handshake(connection.verifying(other))
        try:
            raw.sendall(self.raw(self.CAPABILITY) + self.raw(self.QUIT))
            said = raw.recv(4096)
        except ConnectionError:
            said = b""
        raw.close()
        self.assertTrue(said == b"" or said[0] in (20, 21, 22, 23), said)

    def test_a_fragment_does_not_reach_into_tls(self):
        with self.postern.connect() as client:
            client.send(self.raw(self.STARTTLS) + b"XYZ")
            self.check_refused(client)
        # Without the fragment nothing is carried over either.
        with self.postern.connect_stls() as client:
            self.assertTrue(client.capabilities())

    def test_nothing_is_said_unasked_inside_tls(self):
        with self.postern.connect_stls() as client:
            client.sock.settimeout(0.3)
            self.assertRaises(TimeoutError, client.sock.recv, 1)  # no second greeting
            client.sock.settimeout(30)
            client.capabilities()


class BeforeStartTls(Cases):
    def test_anything_before_starttls_in_any_number(self):
        with self.postern.connect() as client:
            for _ in range(5):
                client.capabilities()
                for command in self.BEFORE_STARTTLS:
                    client.command(command)
            client.starttls(self.postern.trust()).login(USER, self.postern.password)

    def test_thirty_commands_before_starttls(self):
        with self.postern.connect() as client:
            for _ in range(30):
                client.capabilities()
            client.starttls(self.postern.trust()).login(USER, self.postern.password)

    def test_pipelined_before_starttls(self):
        with self.postern.connect() as client:
            client.send(b"".join(map(self.raw, (self.CAPABILITY, b"XYZZY", self.CAPABILITY, self.STARTTLS))))
            self.take_capabilities(client)
            self.assert_refused(self.reply(client))
            self.take_capabilities(client)
            self.assertTrue(self.reply(client).startswith(self.OK))
            client.handshake(self.postern.trust())
            client.login(USER, self.postern.password)

    def test_octet_by_octet(self):
        with self.postern.connect() as client:
            for octet in self.raw(self.CAPABILITY.lower()) + self.raw(self.STARTTLS.swapcase()):
                client.send(bytes([octet]))
            self.take_capabilities(client)
            self.assertTrue(self.reply(client).startswith(self.OK))
            client.handshake(self.postern.trust())
            client.login(USER, self.postern.password)

    def test_tls_octet_by_octet(self):
        def send(octets):
            for octet in octets:
                client.send(bytes([octet]))

        with self.postern.connect() as client:
            client.ok(self.STARTTLS)
            engine = connection.Engine(client.sock, self.postern.trust()).handshake(send)
            engine.tls.write(self.raw(self.CAPABILITY))
            send(engine.records())
            engine.until(self.CAPABILITIES_END)

    def test_the_first_command_in_the_segment_of_finished(self):
        with self.postern.connect() as client:
            client.ok(self.STARTTLS)
            segments = []
            engine = connection.Engine(client.sock, self.postern.trust())
            client.send(engine.hello())
            engine.take()
            engine.handshake(segments.append)
            engine.tls.write(self.raw(self.CAPABILITY))
            client.send(b"".join(segments) + engine.records())
            engine.until(self.CAPABILITIES_END)

    def test_lines_that_are_none(self):
        """A CR, a NUL and a bare LF never make a command of what they are part of."""
        for line in self.NO_LINES:
            with self.subTest(line=line), self.postern.connect() as client:
                client.send(line)
                self.assert_refused(self.reply(client))
                # Either it goes on, one answer a line, or it is closed.
                try:
                    client.capabilities()
                except (EOFError, ConnectionError):
                    pass
                self.assertEqual(self.postern.log.find("tls", session=self.postern.session_of(client)), [])


class Resources(Cases):
    """Before TLS, and inside it on both ports."""

    def connections(self):
        return self.postern.connect(), self.postern.connect_stls(), self.postern.connect_tls()

    def test_long_lines(self):
        """One refusal and the end, at the latest; what is behind is neither kept nor obeyed."""
        for octets in (1 << 16, 1 << 22):
            for client in self.connections():
                with client:
                    workers = self.postern.worker("protocolbroker", self.postern.session_of(client))
                    try:
                        client.send(b"A" * octets)
                        client.send(b"\r\n" + self.raw(self.CAPABILITY))
                    except OSError:
                        pass  # closed before all was sent
                    for worker in workers if harness.ROOT else ():
                        try:
                            self.assertLess(pressure.private_kib(worker), 1024)
                        except OSError:
                            pass  # it has ended already
                    try:
                        self.assert_nothing_obeyed(client.rest())
                    except OSError:
                        pass

    def test_empty_lines(self):
        for client in self.connections():
            with client:
                client.send(b"\r\n" * 50)
                for _ in range(50):
                    self.assert_refused(self.reply(client))
                client.capabilities()

    def test_binary(self):
        octets = bytes(range(256)) * 128
        for client in self.connections():
            with client:
                try:
                    client.send(octets)
                except OSError:
                    pass  # closed before all was sent
                try:
                    said = client.rest()
                except OSError:
                    continue
                self.assert_nothing_obeyed(said)
                self.assertTrue(all(32 <= octet < 127 or octet in b"\r\n" for octet in said), said)
