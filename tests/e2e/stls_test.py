"""The change from clear text to TLS, and how fronts fail at it: what is sent where it should not be is never obeyed, never
answered inside TLS, and never ends the service."""

import ssl
import subprocess

import dialect
import harness
import pop3
import starttls


class InjectionTest(dialect.Pop3, starttls.Injection, harness.PosternTest):
    pass


class BeforeStlsTest(dialect.Pop3, starttls.BeforeStartTls, harness.PosternTest):
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
