"""The stand-ins for qmail's POP3 programs behind postern: qmail-pop3d after a login by checkpassword, and with login =
"backend" qmail-popup, which calls checkpassword itself."""

import hashlib

import clients
import harness
import pop3
from harness import MESSAGES, USER
from qmail import FAILED, GREETING, QmailTest


class BehindCheckpasswordTest(QmailTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start(service={"backend": self.pop3d(), "environment": None})

    def test_everything_and_a_second_attempt(self):
        for client in (self.postern.connect_stls(), self.postern.connect_tls()):
            with client:
                client.ok(b"USER " + USER.encode())
                self.assert_err(client.command(b"PASS wrong"))
                self.assertEqual(client.login(USER, self.postern.password), b"+OK ")
                self.read_everything(client)
                client.ok(b"QUIT")
                self.assert_closed(client)
                self.postern.log.wait("backend_end", session=self.postern.session_of(client), status=0)

    def test_apop_is_neither_offered_nor_accepted(self):
        with pop3.Client(self.postern.pop3s, tls=self.postern.trust()) as client:
            self.assertNotIn(b"<", client.line())
            self.assert_err(client.command(b"APOP %s %s" % (USER.encode(), b"0" * 32)))

    def test_clients(self):
        self.check_clients(self.postern)


class ByQmailPopupTest(QmailTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start_popup()

    def check_session(self, client):
        self.assertEqual(client.command(b"CAPA"), b"-ERR authorization first")  # nobody is in between
        self.assertEqual(client.login(USER, self.postern.password), b"+OK ")
        self.read_everything(client)
        client.ok(b"DELE 1")
        client.ok(b"RSET")
        client.ok(b"QUIT")
        self.assert_closed(client)
        session = self.postern.session_of(client)
        self.postern.log.wait("backend_end", session=session, status=0)
        self.postern.log.wait("close", session=session)
        self.assertEqual(len(self.postern.messages()), len(MESSAGES))

    def test_stls(self):
        with self.postern.connect() as client:
            self.assert_err(client.command(b"USER x"))
            client.stls(self.postern.trust())
            self.check_session(client)

    def test_implicit_tls(self):
        with pop3.Client(self.postern.pop3s, tls=self.postern.trust()) as client:
            self.assertRegex(client.line(), GREETING)
            self.check_session(client)

    def test_a_second_attempt_is_a_second_connection(self):
        for client in (self.postern.connect_stls(), self.postern.connect_tls()):
            with client:
                client.ok(b"USER " + USER.encode())
                self.assertEqual(client.command(b"PASS wrong"), FAILED)
                self.assert_closed(client)
        with self.postern.connect_tls() as client:
            client.login(USER, self.postern.password)

    def test_apop_is_refused_by_a_checkpassword_that_does_not_know_it(self):
        with self.postern.connect_tls() as client:
            self.assertEqual(client.command(b"APOP %s %s" % (USER.encode(), b"0" * 32)), FAILED)
            self.assert_closed(client)

    def test_clients(self):
        got = clients.fetchmail(self.postern, self.postern.pop3s, "ssl")
        self.assertEqual(got.count(b"=end="), len(MESSAGES))
        messages, _ = clients.mpop(self.postern, self.postern.pop3, "on")
        self.assertEqual(len(messages), len(MESSAGES))
        listing = clients.curl(self.postern, "pop3://localhost:%d/" % self.postern.pop3, "--ssl-reqd")
        self.assertEqual(len(listing.splitlines()), len(MESSAGES))

    def test_fetchmail_gives_up_without_capa_inside_tls(self):
        # Postern knew CAPA before TLS, qmail-popup does not know it after: fetchmail takes that for a failed login. With
        # `capabilities` postern answers there too: RelayedTest.
        with self.assertRaisesRegex(AssertionError, "status 3"):
            clients.fetchmail(self.postern, self.postern.pop3, 'sslproto "TLS1.2+"')

    def test_curl_uses_apop_where_it_sees_a_timestamp(self):
        # So would it with qmail-popup alone: a checkpassword that does not know APOP is not for it.
        with self.assertRaisesRegex(AssertionError, "status 67"):
            clients.curl(self.postern, "pop3s://localhost:%d/" % self.postern.pop3s)


class RelayedTest(QmailTest):
    """With `capabilities`: postern answers CAPA in both states, and no client misses anything."""

    def setUp(self):
        super().setUp()
        self.postern = self.start_popup(capabilities=["TOP", "UIDL"])

    def test_clients(self):
        self.check_clients(self.postern)

    def test_session(self):
        for client in (self.postern.connect_stls(), self.postern.connect_tls()):
            with client:
                self.assertEqual(client.capabilities(), ["TOP", "UIDL", "USER"])
                self.assertEqual(client.login(USER, self.postern.password), b"+OK ")
                self.assertEqual(client.capabilities(), ["TOP", "UIDL", "USER"])
                self.read_everything(client)
                client.ok(b"QUIT")
                self.assert_closed(client)
                self.postern.log.wait("backend_end", session=self.postern.session_of(client), status=0)

    def test_what_is_pipelined_behind_pass_is_not_lost(self):
        with self.postern.connect_stls() as client:
            client.send(b"USER %s\r\nPASS %s\r\nLAST\r\nQUIT\r\n" % (USER.encode(), self.postern.password.encode()))
            self.assertEqual(client.line()[:3], b"+OK")
            self.assertEqual([client.line(), client.line(), client.line()], [b"+OK ", b"+OK 0", b"+OK "])
            self.assert_closed(client)


class ApopTest(QmailTest):
    def test_clients(self):
        self.check_clients(self.start_popup(apop=True), fetchmail_stls=False)

    def test_inside_tls_from_the_start_the_timestamp_is_the_backends(self):
        postern = self.start_popup(apop=True)
        with pop3.Client(postern.pop3s, tls=postern.trust()) as client:
            greeting = client.line()
            self.assertRegex(greeting, GREETING)
            digest = hashlib.md5(greeting[len(b"+OK ") :] + postern.password.encode()).hexdigest()
            self.assertEqual(client.command(b"APOP %s %s" % (USER.encode(), digest.encode())), b"+OK ")
            self.read_everything(client)

    def test_after_stls_there_is_no_timestamp_to_use(self):
        postern = self.start_popup(apop=True)
        with pop3.Client(postern.pop3) as client:
            self.assertNotIn(b"<", client.line())  # the only one that the client sees


class ClearTextTest(QmailTest):
    CAPABILITIES = ["TOP", "UIDL"]

    def setUp(self):
        super().setUp()
        self.postern = self.start_popup(plaintext="allow", capabilities=self.CAPABILITIES)

    def test_capa_is_answered_before_and_after_the_login(self):
        with self.postern.connect() as client:
            self.assertEqual(sorted(client.capabilities()), sorted([*self.CAPABILITIES, "USER", "STLS"]))
            self.assertEqual(client.login(USER, self.postern.password), b"+OK ")
            self.assertEqual(sorted(client.capabilities()), sorted([*self.CAPABILITIES, "USER"]))
            self.read_everything(client)
            client.ok(b"QUIT")
            self.assert_closed(client)
            self.postern.log.wait("backend_end", session=self.postern.session_of(client), status=0)

    def test_what_is_pipelined_behind_pass_is_not_lost(self):
        with self.postern.connect() as client:
            client.send(b"USER %s\r\nPASS %s\r\nLAST\r\nQUIT\r\n" % (USER.encode(), self.postern.password.encode()))
            self.assertEqual(client.line()[:3], b"+OK")
            self.assertEqual([client.line(), client.line(), client.line()], [b"+OK ", b"+OK 0", b"+OK "])
            self.assert_closed(client)

    def test_a_rejected_login_ends_the_connection(self):
        with self.postern.connect() as client:
            client.ok(b"USER " + USER.encode())
            self.assertEqual(client.command(b"PASS wrong"), FAILED)
            self.assert_closed(client)
        with self.postern.connect() as client:
            client.login(USER, self.postern.password)

    def test_stls_after_capa_and_user(self):
        with self.postern.connect() as client:
            client.capabilities()
            client.ok(b"USER " + USER.encode())
            client.stls(self.postern.trust())
            self.assert_err(client.command(b"PASS " + self.postern.password.encode()))
            client.login(USER, self.postern.password)


del QmailTest  # only its children are tests

if __name__ == "__main__":
    harness.main()
