"""qmail's POP3 programs, or rather the stand-ins for them in backends/: by themselves, behind checkpassword (qmail-pop3d
alone), and with login = "backend" (qmail-popup, which calls checkpassword itself)."""

import hashlib
import os
import shutil
import socket
import subprocess

import clients
import harness
import pop3
from harness import MESSAGES, ROOT, USER, as_on_the_wire

GREETING = rb"^\+OK (<\d+\.\d+@mail\.example>)$"  # pid and time
FAILED = b"-ERR authorization failed"


class QmailTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        for name in ("qmail-popup", "qmail-pop3d", "checkpassword-apop"):
            shutil.copy(os.path.realpath("tests/e2e/backends/" + name), self.installation.path(name))

    def popup(self, checkpassword):
        return [self.installation.path("qmail-popup"), "mail.example", *checkpassword, *self.pop3d()]

    def pop3d(self):
        return [self.installation.path("qmail-pop3d"), "Maildir"]

    def checkpassword_apop(self, postern):
        return [self.installation.path("checkpassword-apop"), postern.password, str(postern.mail_uid), postern.home]

    def start_popup(self, apop=False, **service):
        """login = "backend", with checkpassword-file or one that knows APOP."""
        postern = self.prepare(service={"login": "backend", "checkpassword": None, "environment": None, **service})
        settings = postern.settings["service.pop3"]
        accepts = [postern.libexec("checkpassword-file"), postern.path("passwd")]
        settings["backend"] = self.popup(self.checkpassword_apop(postern) if apop else accepts)
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        self.addCleanup(self.end, postern)
        return postern.start()

    def read_everything(self, client):
        self.assertTrue(client.ok(b"STAT").startswith(b"+OK %d " % len(MESSAGES)))
        for number, message in enumerate(MESSAGES, 1):
            client.ok(b"RETR %d" % number)
            self.assertTrue(client.lines() == as_on_the_wire(message), number)
        client.ok(b"TOP 1 0")
        self.assertEqual(client.lines(), as_on_the_wire(MESSAGES[0])[:3])
        client.ok(b"UIDL")
        self.assertEqual(len(client.lines()), len(MESSAGES))

    def check_clients(self, postern, fetchmail_stls=True):
        """Real ones."""
        listing = clients.curl(postern, "pop3s://localhost:%d/" % postern.pop3s)
        self.assertEqual(len(listing.splitlines()), len(MESSAGES))
        self.assertEqual(
            clients.curl(postern, "pop3://localhost:%d/1" % postern.pop3, "--ssl-reqd"), MESSAGES[0].replace(b"\n", b"\r\n")
        )
        how = (postern.pop3, 'sslproto "TLS1.2+"') if fetchmail_stls else (postern.pop3s, "ssl")
        self.assertEqual(clients.fetchmail(postern, *how).count(b"=end="), len(MESSAGES))
        messages, _ = clients.mpop(postern, postern.pop3s, "off")
        self.assertEqual(len(messages), len(MESSAGES))
        self.assertEqual(len(postern.messages()), len(MESSAGES))


class Dialogue:
    """A program on one end of a socketpair."""

    def __init__(self, test, command, postern, closed=()):
        self.sock, its = socket.socketpair()
        self.sock.settimeout(30)

        def before_exec():
            if command[0].endswith("qmail-pop3d") and ROOT:
                os.setgroups([])
                os.setgid(postern.mail_uid)
                os.setuid(postern.mail_uid)
            os.chdir(postern.home)
            for number in closed:
                os.close(number)

        # Not /dev/null as standard error: closed means closed.
        self.process = subprocess.Popen(command, stdin=its, stdout=its, preexec_fn=before_exec)
        its.close()
        test.addCleanup(self.process.wait)
        test.addCleanup(self.sock.close)

    line = pop3.Client.line
    lines = pop3.Client.lines
    send = pop3.Client.send
    rest = pop3.Client.rest
    command = pop3.Client.command
    ok = pop3.Client.ok
    login = pop3.Client.login


class StandInsTest(QmailTest):
    """The stand-ins are what they say they are, without postern."""

    def setUp(self):
        super().setUp()
        self.postern = self.prepare()

    def open_popup(self, **how):
        dialogue = Dialogue(self, self.popup(self.checkpassword_apop(self.postern)), self.postern, **how)
        greeting = dialogue.line()
        self.assertRegex(greeting, GREETING)
        dialogue.timestamp = greeting[len(b"+OK ") :]
        return dialogue

    def open_pop3d(self):
        dialogue = Dialogue(self, self.pop3d(), self.postern)
        self.assertEqual(dialogue.line(), b"+OK ")
        return dialogue

    def test_login(self):
        dialogue = self.open_popup()
        self.assertEqual(dialogue.command(b"CAPA"), b"-ERR authorization first")
        self.assertEqual(dialogue.login(USER, self.postern.password), b"+OK ")
        self.read_everything(dialogue)
        dialogue.ok(b"QUIT")
        self.assertEqual(dialogue.rest(), b"")
        self.assertEqual(dialogue.process.wait(30), 0)

    def test_a_rejected_login_ends_the_connection(self):
        dialogue = self.open_popup()
        dialogue.ok(b"USER x")
        self.assertEqual(dialogue.command(b"PASS wrong"), FAILED)
        self.assertEqual(dialogue.rest(), b"")

    def test_apop(self):
        dialogue = self.open_popup()
        digest = hashlib.md5(dialogue.timestamp + self.postern.password.encode()).hexdigest()
        self.assertEqual(dialogue.command(b"APOP x " + digest.encode()), b"+OK ")
        dialogue.ok(b"STAT")

    def test_what_is_pipelined_behind_pass_is_lost(self):
        dialogue = self.open_popup()
        dialogue.send(b"USER x\r\nPASS %s\r\nSTAT\r\n" % self.postern.password.encode())
        self.assertEqual([dialogue.line(), dialogue.line()], [b"+OK ", b"+OK "])
        self.assertEqual(dialogue.command(b"NOOP x"), b"+OK ")  # STAT would have been answered with numbers

    def test_descriptors_0_to_2_must_be_open(self):
        dialogue = self.open_popup(closed=(2,))
        dialogue.ok(b"USER x")
        self.assertRegex(dialogue.command(b"PASS x"), rb"^-ERR unable to ")
        self.assertEqual(dialogue.rest(), b"")

    def test_pop3d_refuses_root(self):
        if not ROOT:
            self.skipTest("needs root to be refused")
        done = subprocess.run(self.pop3d(), cwd=self.postern.home, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual((done.stdout[:4], done.returncode), (b"-ERR", 1))

    def test_pop3d_obeys_whole_lines_and_deletes_at_quit(self):
        for last, deleted in ((b"QUI", 0), (b"QUIT", 0), (b"RSET\r\nQUIT\r\n", 0), (b"QUIT\r\n", 1)):
            dialogue = self.open_pop3d()
            dialogue.ok(b"DELE 2")
            self.assert_err(dialogue.command(b"RETR 2"))
            self.assert_err(dialogue.command(b"CAPA"))
            dialogue.send(last)
            dialogue.sock.shutdown(socket.SHUT_WR)
            dialogue.rest()
            dialogue.process.wait(30)
            self.assertEqual(len(self.postern.messages()), len(MESSAGES) - deleted, last)


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
        # Postern knew CAPA before TLS, qmail-popup does not know it after: fetchmail takes that for a failed login. The
        # answer is login = "checkpassword", or TLS from the first octet.
        with self.assertRaisesRegex(AssertionError, "status 3"):
            clients.fetchmail(self.postern, self.postern.pop3, 'sslproto "TLS1.2+"')

    def test_curl_uses_apop_where_it_sees_a_timestamp(self):
        # So would it with qmail-popup alone: a checkpassword that does not know APOP is not for it.
        with self.assertRaisesRegex(AssertionError, "status 67"):
            clients.curl(self.postern, "pop3s://localhost:%d/" % self.postern.pop3s)


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
