"""The change from clear text to TLS, and how fronts fail at it: what is sent where it should not be is never obeyed, never
answered inside TLS, and never ends the service."""

import socket
import ssl
import subprocess

import harness
import pop3
from harness import USER


class InjectionTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def tearDown(self):
        with self.postern.logged_in() as client:  # whatever happened, the next client is served
            client.ok(b"STAT")

    def check_refused(self, client):
        """One -ERR at most (a reset may swallow it), the end, and a line in the log that names it."""
        said = client.rest()
        self.assertTrue(said == b"" or (said.startswith(b"-ERR") and said.count(b"\r\n") == 1), said)
        session = self.postern.session_of(client)
        self.postern.log.wait("dialogue_end", session=session, why="injection")
        self.assertEqual(self.postern.log.find("tls", session=session), [])

    def test_a_command_in_the_segment_of_stls(self):
        login = b"USER %s\r\nPASS %s\r\n" % (USER.encode(), self.postern.password.encode())
        for behind in (b"CAPA\r\n", b"\r\n", b"X", b"STLS\r\n", b"QUIT\r\n", login, b"A" * 4096):
            with self.subTest(behind=behind[:9]), self.postern.connect() as client:
                client.send(b"STLS\r\n" + behind)
                self.check_refused(client)
        self.assertEqual(self.postern.log.find("login"), [])

    def test_a_client_hello_in_the_segment_of_stls_is_never_taken_for_a_command(self):
        with self.postern.connect() as client:
            client.send(b"STLS\r\n" + pop3.Engine(client.sock, self.postern.trust()).hello())
            self.check_refused(client)

    def test_a_command_after_the_reply_instead_of_a_client_hello(self):
        for instead in (b"CAPA\r\n", b"USER demo\r\nPASS demo\r\n", b"\0" * 64, b"QUIT\r\n" * 100):
            with self.subTest(instead=instead[:9]), self.postern.connect() as client:
                client.ok(b"STLS")
                client.send(instead)
                said = client.rest()
                self.assertTrue(said == b"" or said[0] == 21, said)  # nothing, or a TLS alert
                self.postern.log.wait("tls_failed", session=self.postern.session_of(client))

    def test_no_clear_text_after_a_failed_handshake(self):
        other, _ = self.installation.make_certificate("stranger")
        client = self.postern.connect()
        client.ok(b"STLS")
        raw = socket.socket(fileno=socket.dup(client.sock.fileno()))
        raw.settimeout(30)
        with self.assertRaises(ssl.SSLCertVerificationError):
            client.handshake(pop3.verifying(other))
        try:
            raw.sendall(b"CAPA\r\nQUIT\r\n")
            said = raw.recv(4096)
        except ConnectionError:
            said = b""
        raw.close()
        self.assertTrue(said == b"" or said[0] in (20, 21, 22, 23), said)

    def test_a_fragment_does_not_reach_into_tls(self):
        with self.postern.connect() as client:
            client.send(b"STLS\r\nXYZ")
            self.check_refused(client)
        # Without the fragment nothing is carried over either.
        with self.postern.connect() as client:
            client.stls(self.postern.trust())
            client.ok(b"CAPA")
            self.assertIn(b"USER", client.lines())

    def test_nothing_is_said_unasked_inside_tls(self):
        with self.postern.connect_stls() as client:
            client.sock.settimeout(0.3)
            self.assertRaises(TimeoutError, client.sock.recv, 1)  # no second greeting
            client.sock.settimeout(30)
            client.ok(b"CAPA")


class BeforeStlsTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def test_anything_before_stls_in_any_number(self):
        with self.postern.connect() as client:
            for _ in range(10):
                client.capabilities()
                for command in (b"NOOP", b"USER demo", b"PASS x", b"XYZZY plugh", b"", b"STLS now", b"STLS ", b" STLS", b"AUTH"):
                    client.command(command)
            client.stls(self.postern.trust())
            self.assert_ok(client.login(USER, self.postern.password))

    def test_pipelined_before_stls(self):
        with self.postern.connect() as client:
            client.send(b"CAPA\r\nXYZZY\r\nCAPA\r\nSTLS\r\n")
            self.assert_ok(client.line())
            client.lines()
            self.assert_err(client.line())
            self.assert_ok(client.line())
            client.lines()
            self.assert_ok(client.line())
            client.handshake(self.postern.trust())
            self.assert_ok(client.login(USER, self.postern.password))

    def test_octet_by_octet(self):
        with self.postern.connect() as client:
            for octet in b"capa\r\nstLS\r\n":
                client.send(bytes([octet]))
            self.assert_ok(client.line())
            client.lines()
            self.assert_ok(client.line())
            client.handshake(self.postern.trust())
            self.assert_ok(client.login(USER, self.postern.password))

    def test_tls_octet_by_octet(self):
        def send(octets):
            for octet in octets:
                client.send(bytes([octet]))

        with self.postern.connect() as client:
            client.ok(b"STLS")
            engine = pop3.Engine(client.sock, self.postern.trust()).handshake(send)
            engine.tls.write(b"CAPA\r\n")
            send(engine.records())
            self.assert_ok(engine.until(b"\r\n.\r\n"))

    def test_the_first_command_in_the_segment_of_finished(self):
        with self.postern.connect() as client:
            client.ok(b"STLS")
            segments = []
            engine = pop3.Engine(client.sock, self.postern.trust())
            client.send(engine.hello())
            engine.take()
            engine.handshake(segments.append)
            engine.tls.write(b"CAPA\r\n")
            client.send(b"".join(segments) + engine.records())
            self.assert_ok(engine.until(b"\r\n.\r\n"))

    def test_lines_that_are_none(self):
        """A CR, a NUL and a bare LF never make a command of what they are part of."""
        for line in (b"STLS\n", b"STLS\0\r\n", b"STLS\rCAPA\r\n", b"CAPA\n", b"\x01\r\n", b"CAPA\0\r\n", b"\r\r\n"):
            with self.subTest(line=line), self.postern.connect() as client:
                client.send(line)
                self.assert_err(client.line())
                # Either it goes on, one answer a line, or it is closed.
                try:
                    client.capabilities()
                except (EOFError, ConnectionError):
                    pass
                self.assertEqual(self.postern.log.find("tls", session=self.postern.session_of(client)), [])

    def test_lines_without_an_end(self):
        for line in (b"A" * 4096 + b"\r\n", b"CAPA " + b"A" * 70000, b"STLS" + b" " * 300 + b"\r\n", b"\0" * 70000):
            with self.subTest(line=line[:9]), self.postern.connect() as client:
                try:
                    client.send(line)
                    self.assert_err(client.line())
                    rest = client.rest()
                except ConnectionError:
                    continue  # closed before all was sent: good enough
                self.assertNotIn(b"+OK", rest)

    def test_the_longest_line_is_served_and_one_octet_more_is_not(self):
        with self.postern.connect_tls() as client:
            self.assert_ok(client.command(b"USER " + b"a" * (255 - len("USER \r\n"))))  # RFC 2449 section 4
        with self.postern.connect_tls() as client:
            self.assert_err(client.command(b"USER " + b"a" * (256 - len("USER \r\n"))))


class TlsTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def test_both_versions_on_both_ports(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.postern.trust(minimum_version=version, maximum_version=version)
            with self.postern.connect() as client:
                client.stls(context).capabilities()
                stls = client.sock.version()
            with pop3.Client(self.postern.pop3s, tls=context) as client:
                client.greeted().capabilities()
                self.assertEqual(client.sock.version(), stls)
            self.postern.log.wait("tls", version=stls, count=2)

    def refused(self, context):
        """On both ports; and the next client is served."""
        with self.postern.connect() as client:
            client.ok(b"STLS")
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                client.handshake(context)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            pop3.Client(self.postern.pop3s, tls=context)
        self.postern.connect_tls().sock.close()
        self.postern.log.wait("tls_failed", count=2)

    def test_old_versions_are_refused(self):
        context = self.postern.trust()
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.refused(context)

    def test_key_exchange_without_ephemeral_keys_is_refused(self):
        context = self.postern.trust(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("kRSA:aNULL:eNULL:@SECLEVEL=0")
        self.refused(context)

    def test_alpn(self):
        for offered, selected in ((["pop3"], "pop3"), (["h2", "pop3"], "pop3"), ([], None)):
            context = self.postern.trust()
            if offered:
                context.set_alpn_protocols(offered)
            with pop3.Client(self.postern.pop3s, tls=context) as client:
                self.assertEqual(client.sock.selected_alpn_protocol(), selected)
        context = self.postern.trust()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
            pop3.Client(self.postern.pop3s, tls=context)

    def test_no_tickets(self):
        context = self.postern.trust(maximum_version=ssl.TLSVersion.TLSv1_2)
        with pop3.Client(self.postern.pop3s, tls=context) as client:
            client.greeted()
            self.assertFalse(client.sock.session.has_ticket)

    def test_no_renegotiation(self):
        command = ["openssl", "s_client", "-tls1_2", "-crlf", "-CAfile", self.postern.cert]
        command += ["-connect", "127.0.0.1:%d" % self.postern.pop3s]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        said = b""
        while b"+OK" not in said:  # the greeting
            said = process.stdout.readline()
            self.assertNotEqual(said, b"")
        process.stdin.write(b"R\n")
        process.stdin.flush()
        said = process.stdout.read()  # s_client gives up when it is refused
        process.wait(30)
        self.assertIn(b"RENEGOTIATING", said)
        self.assertIn(b"no renegotiation", said)
        with self.postern.connect_tls() as client:
            client.capabilities()

    def test_randoms_differ(self):
        """Workers are forked from one process that has used OpenSSL: without a new seed they would repeat themselves."""
        seen = set()
        for _ in range(200):
            with pop3.Client(self.postern.pop3s) as client:
                client.send(pop3.Engine(client.sock, self.postern.trust()).hello())
                hello = client.exactly(5 + 4 + 2 + 32)
            seen.add(hello[11:])  # record and handshake header, version, then the server's random
        self.assertEqual(len(seen), 200)


if __name__ == "__main__":
    harness.main()
