"""The ways in which fronts with STARTTLS are known to fail (attacks_test has the list), and which test tries each on IMAP. What
TLS itself is asked for does not depend on the protocol and is tried on POP3.

    commands behind STARTTLS, in its segment or a later one InjectionTest
    line ends that only one of two parsers sees             BeforeStartTlsTest.test_lines_that_are_none
    half a line carried into TLS                            InjectionTest.test_a_fragment_...
    a login injected before TLS                             InjectionTest.test_a_command_in_the_segment_...
    a login before TLS kept behind it                       SessionTest.test_a_session_logged_in_...
    half a login before TLS, the rest inside                SessionTest.test_what_was_said_of_a_login_...
    STARTTLS offered or obeyed inside TLS                   SessionTest.test_inside_tls_...
    a second greeting, or more than one reply               InjectionTest.test_nothing_is_said_unasked_...
    clear text after a failed handshake                     InjectionTest.test_no_clear_text_after_...
    STARTTLS where it is data                               DataTest
    STARTTLS only as the first command                      BeforeStartTlsTest, SessionTest.test_tls_after_...
    STARTTLS with an argument, without a tag                SessionTest.test_starttls_that_is_none
    a login in clear text where it is refused, PREAUTH      SessionTest.test_a_login_in_clear_text_...
    another protocol's client (ALPN)                        TlsTest.test_alpn
    weak TLS                                                TlsTest.test_sslscan
    a connection cut before its end (truncation)            EndsTest
    no close_notify                                         EndsTest.test_logout_...
    handshakes that stop, or never end                      TlsTest.test_a_handshake_that_stops, imap_slow_test
    clients that wait for others' handshakes                TlsTest.test_stuck_peers_...
    lines too large, literals, empty lines, binary          ResourcesTest, imap_hostile_test
    fragments: of records, segments, lines                  BeforeStartTlsTest, imap_slow_test, imap_segments_test
    clients that vanish                                     imap_vanish_test
    buffers full both ways                                  imap_segments_test.FullTest
    bare LF around the end of a message                     RecordingTest
"""

import base64
import os
import ssl
import subprocess
import time

import dialect
import harness
import imap
import starttls
from connection import Engine
from harness import USER, eventually


class InjectionTest(dialect.Imap, starttls.Injection, harness.PosternTest):
    pass


class BeforeStartTlsTest(dialect.Imap, starttls.BeforeStartTls, harness.PosternTest):
    pass


class ResourcesTest(dialect.Imap, starttls.Resources, harness.PosternTest):
    pass


class ImapTest(dialect.Imap, harness.PosternTest):
    def assert_bad(self, reply):
        self.assertTrue(reply[1].startswith(b"BAD"), reply)

    def no_tls(self, postern):
        self.assertEqual(postern.log.find("tls") + postern.log.find("tls_failed"), [])


class DataTest(ImapTest):
    """What looks like a command and is none. Each on a session of clear text that goes on to TLS."""

    DATA = b"x STARTTLS\r\n"

    def setUp(self):
        super().setUp()
        self.postern = self.start(service={"plaintext": "allow"})

    def tearDown(self):
        with self.postern.connect() as client:
            self.converse(client)
            self.no_tls(self.postern)
            client.starttls(self.postern.trust()).login(USER, self.postern.password)

    def converse(self, client):
        """Nothing was obeyed: the next answer is to the next command."""
        self.assertEqual(client.command(b"NOOP"), ([], b"OK NOOP completed"))

    def test_in_a_literal_that_is_taken(self):
        data = self.DATA
        with self.postern.connect() as client:
            for first in (b"{%d}", b"{%d+}"):
                client.send(b"a LOGIN " + first % len(data) + b"\r\n")
                if b"+" not in first:
                    self.assertTrue(client.line().startswith(b"+"))
                client.send(data + b" demo\r\n")
                self.assertEqual(client.line(), b"a NO control character in user name or password")
                client.send(b'a ID ("name" {%d+}\r\n%s)\r\n' % (len(data), data))
                self.assertEqual(client.replies(b"a"), ([b"* ID NIL"], b"OK ID completed"))
            self.converse(client)

    def test_in_a_literal_that_is_dropped(self):
        data = self.DATA * 100
        with self.postern.connect() as client:
            for command in (b"APPEND INBOX", b"XYZZY", b"STARTTLS", b"NOOP", b"", b"SELECT", b"AUTHENTICATE PLAIN"):
                client.send(b"a %s {%d+}\r\n%s\r\n" % (command, len(data), data))
                self.assert_bad(client.replies(b"a"))
                client.send(b"a %s {0+}\r\n {%d+}\r\n%s {3}\r\n" % (command, len(data), data))
                self.assert_bad(client.replies(b"a"))
            # Neither a line without a tag nor one that ends in a bare LF loses count.
            for line in (b"{%d+}\r\n", b"a NOOP {%d+}\n", b"a\tNOOP {%d+}\r\n", b"* STARTTLS {%d+}\r\n"):
                client.send(line % len(data) + data + b"\r\n")
                self.assertIn(b" BAD ", client.line())
            self.converse(client)

    def test_in_an_answer_to_a_challenge(self):
        with self.postern.connect() as client:
            for data in (self.DATA, b"* STARTTLS\r\n", b"x LOGIN demo demo\r\n", b"{12+}\r\n"):
                for mechanism, before in ((b"PLAIN", ()), (b"LOGIN", ()), (b"LOGIN", (b"ZGVtbw==\r\n",))):
                    reply = client.dialogue(b"AUTHENTICATE " + mechanism, *before, data)
                    self.assertEqual(reply, ([], b"BAD not base64"))
            self.converse(client)

    def test_in_a_quoted_string(self):
        with self.postern.connect() as client:
            _, reply = client.command(b'LOGIN "x STARTTLS" "y STARTTLS {3+}"')
            self.assertTrue(reply.startswith(b"NO [AUTHENTICATIONFAILED]"), reply)
            self.assert_bad(client.command(b"NOOP x STARTTLS"))
            self.converse(client)


class SessionTest(ImapTest):
    def test_a_session_logged_in_before_tls_gets_no_tls(self):
        postern = self.start(service={"plaintext": "allow"})
        with postern.connect() as client:
            client.login(USER, postern.password)
            self.assertFalse(client.command(b"STARTTLS")[1].startswith(b"OK"))
            self.assertNotIn("STARTTLS", client.capabilities())
            client.ok(b"SELECT INBOX")
        self.no_tls(postern)

    def test_tls_after_a_login_that_failed(self):
        postern = self.start(service={"plaintext": "allow"})
        with postern.connect() as client:
            _, reply = client.command(b"LOGIN demo wrong")
            self.assertTrue(reply.startswith(b"NO [AUTHENTICATIONFAILED] "), reply)
            client.starttls(postern.trust()).login(USER, postern.password)

    def test_what_was_said_of_a_login_before_tls_is_forgotten(self):
        postern = self.start(service={"plaintext": "allow"})
        with postern.connect() as client:
            self.assert_bad(client.dialogue(b"AUTHENTICATE LOGIN", base64.b64encode(USER.encode()) + b"\r\n", b"*\r\n"))
            client.starttls(postern.trust())
            client.send(base64.b64encode(postern.password.encode()) + b"\r\n")  # is a tag here, or none
            self.assertIn(b" BAD ", client.line())
            self.assert_bad(client.command(b"SELECT INBOX"))
            client.login(USER, postern.password)

    def test_inside_tls_login_is_offered_and_starttls_is_not(self):
        postern = self.start()
        with postern.connect() as client:
            for capabilities in (client.capabilities(), client.greeting.decode().partition("]")[0].split()):
                self.assertIn("STARTTLS", capabilities)
                self.assertIn("LOGINDISABLED", capabilities)
                self.assertNotIn("AUTH=PLAIN", capabilities)
        for client in (postern.connect_stls(), postern.connect_tls()):
            with client:
                self.check_inside(client)
                client.login(USER, postern.password)
                self.check_inside(client)
        self.assertEqual(len(postern.log.find("tls")), 2)

    def check_inside(self, client):
        """Neither offered nor obeyed, by postern and by the backend, and the session goes on."""
        greeting = client.greeting.decode() if isinstance(client.sock, ssl.SSLSocket) else ""
        for word in ("STARTTLS", "LOGINDISABLED"):
            self.assertNotIn(word, client.capabilities())
        for command in (b"STARTTLS", b"starttls", b"STARTTLS x"):
            _, reply = client.command(command)
            self.assertRegex(reply, b"^(BAD|NO) ", greeting)
        client.ok(b"NOOP")

    def test_the_greeting_inside_tls_offers_none_either(self):
        with self.start().connect_tls() as client:
            self.assertNotIn(b"STARTTLS", client.greeting)
            self.assertNotIn(b"LOGINDISABLED", client.greeting)
            self.assertIn(b" AUTH=PLAIN", client.greeting)

    def test_starttls_that_is_none(self):
        postern = self.start()
        odd = (b"x STARTTLS now", b"x STARTTLS ", b"x  STARTTLS", b" x STARTTLS", b"STARTTLS", b"* STARTTLS", b"+ STARTTLS")
        odd += (b'x "STARTTLS"', b"x STARTTLS ()", b"x STARTTLS {3}", b"x STARTTLS {0}", b"x+ STARTTLS", b"x", b"%x STARTTLS")
        with postern.connect() as client:
            for line in odd:
                client.send(line + b"\r\n")
                self.assertRegex(client.line(), rb"^(\*|x|STARTTLS) BAD ", line)
            for literal in (b"{8+}\r\nSTARTTLS", b"STARTTLS{0+}\r\n", b"{0+}\r\nSTARTTLS"):
                client.send(b"x " + literal + b"\r\n")
                self.assertTrue(client.line().startswith(b"x BAD "))
            self.no_tls(postern)
            client.starttls(postern.trust()).login(USER, postern.password)

    def test_a_login_in_clear_text_is_refused_before_the_password_is_sent(self):
        for service in ({}, {"greeting": "preauth"}):
            postern = self.start(service=service)
            with postern.connect() as client:
                self.assertRegex(client.greeting, rb"^\* OK \[CAPABILITY IMAP4rev1 ([^]]* )?STARTTLS LOGINDISABLED\]")
                commands = (b"LOGIN demo " + postern.password.encode(), b"LOGIN demo {4}", b"LOGIN {4}", b"LOGIN {99999}")
                commands += (b"AUTHENTICATE PLAIN", b"AUTHENTICATE LOGIN", b"AUTHENTICATE PLAIN AGRlbW8AZGVtbw==", b"LOGIN")
                for command in commands:
                    untagged, reply = client.command(command)
                    self.assertTrue(reply.startswith(b"NO [PRIVACYREQUIRED] "), (untagged, reply))
                client.send(b"x LOGIN {4+}\r\ndemo {%d+}\r\n%s\r\n" % (len(postern.password), postern.password.encode()))
                self.assertTrue(client.replies(b"x")[1].startswith(b"NO [PRIVACYREQUIRED] "))
                self.assert_bad(client.command(b"SELECT INBOX"))
            self.assertEqual(postern.log.find("login") + postern.log.find("login_failed"), [])


class TlsTest(ImapTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def alpn(self, *offered):
        context = self.postern.trust()
        context.set_alpn_protocols(offered)
        return context

    def test_alpn(self):
        for offered in (("imap",), ("h2", "imap"), ("pop3", "imap")):
            with imap.Client(self.postern.imaps, tls=self.alpn(*offered)) as client:
                self.assertEqual(client.sock.selected_alpn_protocol(), "imap")
            with self.postern.connect().starttls(self.alpn(*offered)) as client:
                self.assertEqual(client.sock.selected_alpn_protocol(), "imap")
        for offered in (("pop3",), ("h2", "http/1.1")):
            with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
                imap.Client(self.postern.imaps, tls=self.alpn(*offered))
            with self.postern.connect() as client, self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
                client.starttls(self.alpn(*offered))
        with self.postern.connect_tls() as client:
            self.assertIsNone(client.sock.selected_alpn_protocol())

    def test_sslscan(self):
        for arguments in (["--starttls-imap", "127.0.0.1:%d" % self.postern.imap], ["127.0.0.1:%d" % self.postern.imaps]):
            command = ["sslscan", "--no-colour", *arguments]
            said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
            with self.subTest(arguments[0]):
                self.assertRegex(said, r"TLSv1.1 +disabled")
                self.assertRegex(said, r"TLSv1.3 +enabled")
                self.assertNotRegex(said, r"(?<!not )vulnerable")

    def test_a_handshake_that_stops(self):
        postern = self.start(limits={"handshake_seconds": 1})
        hello = Engine(None, postern.trust()).hello()
        for said in (b"", b"x", hello[:20], hello):
            with postern.connect() as client:
                client.ok(b"STARTTLS")
                client.send(said)
                self.assertNotIn(b"BAD", client.rest())
                postern.log.wait("tls_failed", session=postern.session_of(client))

    def test_stuck_peers_do_not_delay_others(self):
        stuck = [self.postern.connect() for _ in range(40)]
        for client in stuck[:20]:
            client.ok(b"STARTTLS")
        for client in stuck[20:]:
            client.send(b"x LOGIN {")
        with self.postern.logged_in():
            pass  # gam_server has been started
        started = time.monotonic()
        with self.postern.logged_in() as client:
            client.ok(b"NOOP")
        self.assertLess(time.monotonic() - started, 2)
        for client in stuck:
            client.sock.close()
        self.postern.log.wait("close", count=42)


class EndsTest(ImapTest):
    """Before imapd: what a lost connection had not finished does not happen."""

    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def lose(self, last, literal=b""):
        """The end without close_notify behind these octets, or behind part of a literal that `last` announces."""
        for connect in (self.postern.connect_tls, self.postern.connect_stls):
            before = self.postern.messages()
            client = connect()
            session = self.postern.session_of(client)
            client.login(USER, self.postern.password)
            client.ok(b"SELECT INBOX")
            client.ok(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
            client.send(last)
            if last.endswith(b"}\r\n"):
                self.assertTrue(client.line().startswith(b"+"))
                client.send(literal)
            client.sock.close()
            self.postern.log.wait("backend_end", session=session)
            self.postern.log.wait("close", session=session)
            self.assertEqual(self.postern.messages(), before)

    def test_nothing_is_deleted_without_expunge(self):
        self.lose(b"")

    def test_nothing_is_deleted_at_an_unterminated_expunge(self):
        for last in (b"x EXPUNGE", b"x EXPUNGE\r", b"x CLOSE", b"x LOGOUT"):
            self.lose(last)

    def test_no_half_message_is_taken(self):
        message = b"Subject: half\r\n\r\nx EXPUNGE\r\nx CLOSE\r\n"
        for announced in (len(message) + 1, 1_000_000):
            for sent in (message, b""):
                self.lose(b"x APPEND INBOX {%d}\r\n" % announced, sent)

    def test_a_client_that_closes_its_side_hears_the_rest(self):
        with imap.Client(self.postern.imaps) as client:
            engine = Engine(client.sock, self.postern.trust()).handshake()
            engine.send(self.raw_login(USER, self.postern.password) + b"x EXAMINE INBOX\r\ny FETCH 1:* BODY[]\r\n")
            engine.close_own_side()
            text = b""
            while not engine.closed:
                self.assertTrue(engine.take(), "an end without close_notify")
                text += engine.plain()
        self.assertIn(b"\r\ny OK FETCH completed.\r\n", text)
        for message in harness.MESSAGES:  # not assertIn: to show how they differ would take minutes
            self.assertTrue(message.replace(b"\n", b"\r\n") in text)

    def test_logout_is_answered_and_followed_by_close_notify(self):
        for connect in (self.postern.connect_tls, self.postern.connect_stls, self.postern.logged_in):
            client = connect()
            self.assertTrue(client.ok(b"LOGOUT")[0].startswith(b"* BYE "))
            self.assertEqual(client.sock.recv(1), b"")  # not SSLEOFError: the end is the server's word
            client.sock.unwrap().close()  # and it waits for ours


class RecordingTest(ImapTest):
    """Before a backend that keeps what it gets."""

    def test_a_message_passes_unchanged(self):
        """Octets that a front might take for the end of a line, a message or a command."""
        postern = self.start(service=self.installation.backend("record"))
        lines = b"\r.\r\n.\n\r\n.\r\nx STARTTLS\r\nx LOGOUT\n\xff\0\x80{5+}\r\n", b"A" * 70000, b"\n" * 9
        message = b"x APPEND INBOX {99+}\r\n" + b"\r\r\r".join(lines)
        for connect in (postern.connect_stls, postern.connect_tls):
            client = connect()
            client.send(self.raw_login(USER, postern.password) + message)
            self.assertEqual(client.line(), b"+OK recording")
            for _ in range(message.count(b"\n")):
                while client.exactly(1) != b"\n":
                    pass
            client.sock.unwrap().close()
            self.assertEqual(self.recorded(postern), message)

    def recorded(self, postern):
        path = postern.home + "/recorded.eof"
        eventually(lambda: os.path.exists(path), lambda: os.listdir(postern.home))
        with open(path, "rb") as file:
            octets = file.read()
        os.unlink(path)
        return octets


if __name__ == "__main__":
    harness.main()
