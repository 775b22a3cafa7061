"""login = "backend" with Debian's imaplogin, which asks authdaemond."""

import base64
import unittest

import authdaemon
import clients
import harness
import imap
from harness import MESSAGES, ROOT, USER

GREETING = b"* OK [CAPABILITY IMAP4rev1 "
LOGGED_IN = b"OK LOGIN Ok."
CAPABILITIES = ["IMAP4rev1", "UIDPLUS", "CHILDREN", "NAMESPACE", "SORT", "QUOTA", "IDLE"]


class CourierTest(authdaemon.CourierTest):
    PROTOCOL = "imap"
    PROGRAMS = ("imaplogin", "imapd")
    ENVIRONMENT = {
        "IMAP_CAPABILITY": " ".join([*CAPABILITIES, "AUTH=PLAIN"]),
        "IMAP_CAPABILITY_TLS": " ".join([*CAPABILITIES, "AUTH=PLAIN"]),
        "IMAP_STARTTLS": "NO",
    }

    def read_everything(self, client):
        with client:
            client.login(USER, self.postern.password)
            client.ok(b"SELECT INBOX")
            for number, message in enumerate(MESSAGES, 1):
                (fetched,) = client.ok(b"FETCH %d BODY.PEEK[]" % number)
                self.assertEqual(message.replace(b"\n", b"\r\n") in fetched, True, number)
            self.assertEqual(client.command(b"LOGOUT"), ([b"* BYE Courier-IMAP server shutting down"], b"OK LOGOUT completed"))
            self.assert_closed(client)
            session = self.postern.session_of(client)
        log = self.postern.log
        log.wait("backend_end", session=session, status=0)
        log.wait("close", session=session)
        said = "INFO: LOGIN, user=%s, ip=[%s], port=[%d]" % (USER, *client.local[:2])
        log.until(lambda: said in log.text(), said)

    def plain(self, client, password):
        """The answer to AUTHENTICATE PLAIN; to a wrong password it takes courier five seconds."""
        message = base64.b64encode(b"\0%s\0%s" % (USER.encode(), password.encode()))
        return client.dialogue(b"AUTHENTICATE PLAIN", message + b"\r\n")[1]


@unittest.skipUnless(ROOT, "only root has mount namespaces and other users")
class InsideTlsTest(CourierTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start_courier()

    def test_starttls(self):
        with self.postern.connect() as client:
            self.assertIn("STARTTLS", client.capabilities())
            self.assertIn("LOGINDISABLED", client.capabilities())
        client = self.postern.connect_stls(source="127.0.0.4")
        inside = client.capabilities()  # this and all that follows is courier's answer
        self.assertNotIn("STARTTLS", inside)
        self.assertNotIn("LOGINDISABLED", inside)
        self.assertIn("AUTH=PLAIN", inside)
        self.read_everything(client)

    def test_implicit_tls(self):
        client = imap.Client(self.postern.imaps, tls=self.postern.trust()).greeted()
        self.assertTrue(client.greeting.startswith(GREETING), client.greeting)
        self.assertIn(b"Courier", client.greeting)
        self.read_everything(client)

    def test_wrong_password_and_another_attempt(self):
        with self.postern.connect_stls() as client:
            self.assertEqual(client.command(b"LOGIN %s wrong" % USER.encode())[1], b"NO Login failed.")
            self.assertEqual(self.plain(client, self.postern.password), LOGGED_IN)
            client.ok(b"NOOP")
        said = "LOGIN FAILED, user=%s, ip=[127.0.0.1]" % USER
        self.postern.log.until(lambda: said in self.postern.log.text(), said)

    def test_what_is_pipelined_behind_login_is_lost(self):
        """By imaplogin, in whose buffer it is when it becomes imapd: postern has left the client to it."""
        with self.postern.connect_tls() as client:
            client.send(b"a LOGIN %s %s\r\nb NOOP\r\n" % (USER.encode(), self.postern.password.encode()))
            self.assertEqual(client.replies(b"a")[1], LOGGED_IN)
            self.assertEqual(client.command(b"NOOP"), ([], b"OK NOOP completed"))

    def test_login_by_literals(self):
        with self.postern.connect_tls() as client:
            user, password = USER.encode(), self.postern.password.encode()
            answers = (user + b" {%d}\r\n" % len(password), password + b"\r\n")
            self.assertEqual(client.dialogue(b"LOGIN {%d}" % len(user), *answers)[1], LOGGED_IN)

    def test_without_authdaemond(self):
        self.daemon.kill()
        with self.postern.connect_tls() as client:
            client.send(b"a LOGIN %s x\r\n" % USER.encode())
            self.assertEqual(client.rest(), b"* BYE Temporary problem, please try again later\r\n")
        said = "authdaemon: s_connect() failed"
        self.postern.log.until(lambda: said in self.postern.log.text(), said)

    def test_who_serves_the_mail(self):
        with self.postern.connect_tls() as client:
            client.login(USER, self.postern.password)
            (server,) = self.postern.processes(lambda process: process.program().endswith("/imapd"))
            status = server.status()
            self.assertEqual(set(status["Uid"].split()) | set(status["Gid"].split()), {str(self.postern.mail_uid)})
            self.assertEqual(status["Groups"].split(), [str(self.postern.mail_uid)])  # courier is gone
            self.assertEqual(status["CapEff"], "0" * 16)

    def test_clients(self):
        postern = self.postern
        for base, *options in (("imap://localhost:%d/" % postern.imap, "--ssl-reqd"), ("imaps://localhost:%d/" % postern.imaps,)):
            self.assertIn(b'"INBOX"', clients.curl(postern, base, *options))
            self.assertEqual(clients.curl(postern, base + "INBOX;MAILINDEX=1", *options), MESSAGES[0].replace(b"\n", b"\r\n"))
        got = clients.fetchmail(postern, postern.imap, 'sslproto "TLS1.2+"')
        self.assertEqual(got.count(b"=end="), len(MESSAGES))
        self.assertEqual(len(clients.getmail(postern)), len(MESSAGES))
        for client, how in ((clients.mbsync, "STARTTLS"), (clients.offlineimap, "ssl = no\nstarttls = yes")):
            here = client(postern, postern.imap, how)
            self.assertEqual(len(clients.digests(here)), len(MESSAGES))
        self.assertEqual(clients.mutt(postern, postern.imaps, "imaps", "neomutt").count(b"\nSubject: "), len(MESSAGES))


@unittest.skipUnless(ROOT, "only root has mount namespaces and other users")
class ClearTextTest(CourierTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start_courier(plaintext="allow")

    def test_login(self):
        with self.postern.connect() as client:
            self.assertIn("STARTTLS", client.capabilities())
            self.assertNotIn("LOGINDISABLED", client.capabilities())
            self.read_everything(client)

    def test_wrong_password_and_another_attempt(self):
        with self.postern.connect() as client:
            self.assertTrue(self.plain(client, "wrong").startswith(b"NO "))
            self.assertEqual(self.plain(client, self.postern.password), LOGGED_IN)
            client.ok(b"NOOP")

    def test_login_by_literals(self):
        with self.postern.connect() as client:
            user, password = USER.encode(), self.postern.password.encode()
            answers = (user + b" {%d}\r\n" % len(password), password + b"\r\n")
            self.assertEqual(client.dialogue(b"LOGIN {%d}" % len(user), *answers)[1], LOGGED_IN)

    def test_starttls(self):
        with self.postern.connect() as client:
            client.capabilities()
            self.read_everything(client.starttls(self.postern.trust()))


del CourierTest  # only its children are tests

if __name__ == "__main__":
    harness.main()
