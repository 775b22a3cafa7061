"""Mail clients that people use, before Debian's imapd; each believes in the demo's certificate and no other."""

import imaplib
import os

import clients
import harness
from clients import run
from harness import MESSAGES, USER

FOLDERS = 30
BIG = b"Subject: big\r\n\r\n" + b"".join(b"%07d 89abcdef 89abcdef 89abcdef 89abcdef 89abcdef\r\n" % i for i in range(370_000))


class ImapTest(clients.ClientsTest):
    PROTOCOL = "imap"


class CurlTest(ImapTest):
    def curl(self, url, *options):
        return clients.curl(self.postern, url, *options)

    def read(self, base, *options):
        self.assertIn(b'"INBOX"', self.curl(base, *options))
        self.assertEqual(self.curl(base + "INBOX;MAILINDEX=3", *options), MESSAGES[2].replace(b"\n", b"\r\n"))
        self.check_ended(2)

    def test_starttls(self):
        self.read("imap://localhost:%d/" % self.postern.imap, "--ssl-reqd")

    def test_implicit_tls(self):
        self.read("imaps://localhost:%d/" % self.postern.imaps)

    def test_twenty_megabytes_there_and_back(self):
        path = self.postern.path("big")
        with open(path, "wb") as file:
            file.write(BIG)
        for base, *options in (
            ("imap://localhost:%d/" % self.postern.imap, "--ssl-reqd"),
            ("imaps://localhost:%d/" % self.postern.imaps,),
        ):
            self.curl(base + "INBOX;MAILINDEX=1", *options)  # those that are there get their numbers first
            self.curl(base + "INBOX", "-T", path, *options)
            back = self.curl(base + "INBOX;MAILINDEX=4", *options)
            self.assertTrue(back == BIG, (len(back), len(BIG), back[:200]))
            self.curl(base + "INBOX", "-X", "STORE 4 +FLAGS.SILENT \\Deleted", *options)
            self.curl(base + "INBOX", "-X", "EXPUNGE", *options)
        self.check_ended(10)


class OpensslTest(ImapTest):
    def s_client(self, port, *options):
        text = "a LOGIN %s %s\nb SELECT INBOX\nc FETCH 2 BODY.PEEK[]\nd LOGOUT\n" % (USER, self.postern.password)
        command = ["openssl", "s_client", "-quiet", "-crlf", "-verify_return_error", "-verify_hostname", "localhost"]
        command += ["-CAfile", self.postern.cert, "-connect", "127.0.0.1:%d" % port, *options]
        said = run(command, text.encode()).stdout
        self.assertIn(b"a OK LOGIN Ok.\r\n", said)  # imapd's own words
        self.assertIn(b"\r\n" + MESSAGES[1].replace(b"\n", b"\r\n"), said)
        self.assertIn(b"\r\nd OK LOGOUT completed\r\n", said)
        self.check_ended()

    def test_starttls(self):
        self.s_client(self.postern.imap, "-starttls", "imap")

    def test_implicit_tls(self):
        self.s_client(self.postern.imaps)

    def test_tls12(self):
        self.s_client(self.postern.imaps, "-tls1_2")
        self.postern.log.wait("tls", version="TLSv1.2")


class FetchmailTest(ImapTest):
    def fetchmail(self, port, how):
        got = clients.fetchmail(self.postern, port, how)
        self.assertEqual(got.count(b"=end="), len(MESSAGES))
        self.assertIn(MESSAGES[1].split(b"\n\n", 1)[1], got)
        self.check_ended()

    def test_starttls(self):
        self.fetchmail(self.postern.imap, 'sslproto "TLS1.2+"')

    def test_implicit_tls(self):
        self.fetchmail(self.postern.imaps, "ssl")


class NeomuttTest(ImapTest):
    def neomutt(self, port, scheme):
        self.check_in_one_file(clients.mutt(self.postern, port, scheme, "neomutt"))
        self.check_ended()

    def test_starttls(self):
        self.neomutt(self.postern.imap, "imap")

    def test_implicit_tls(self):
        self.neomutt(self.postern.imaps, "imaps")


class MuttTest(ImapTest):
    def test_starttls(self):
        self.check_in_one_file(clients.mutt(self.postern, self.postern.imap, "imap"))
        self.check_ended()


class GetmailTest(ImapTest):
    def test_implicit_tls(self):
        got = clients.getmail(self.postern)
        self.assertEqual(len(got), len(MESSAGES))
        self.check_in_one_file(b"".join(got))  # it adds a header of its own, behind the others
        self.check_ended()


class SynchronisationTest(ImapTest):
    """Many folders brought to this side; the second time nothing is left to do."""

    def setUp(self):
        super().setUp()
        for number in range(FOLDERS):
            message = b"From: a@localhost\nSubject: in %d\n\n%d\n" % (number, number)
            harness.make_maildir(self.postern.home, self.postern.mail_uid, [message], ".folder%d" % number)

    def synchronise(self, client, port, how):
        here = client(self.postern, port, how)
        first = clients.digests(here)
        self.assertEqual(len(first), len(MESSAGES) + FOLDERS)
        self.assertEqual(len({os.path.dirname(os.path.dirname(path)) for path in first}), 1 + FOLDERS)
        there = clients.digests(self.postern.home)
        client(self.postern, port, how)
        self.assertEqual(clients.digests(here), first)
        self.assertEqual(clients.digests(self.postern.home), there)
        self.check_ended(2)

    def test_mbsync_starttls(self):
        self.synchronise(clients.mbsync, self.postern.imap, "STARTTLS")

    def test_mbsync_implicit_tls(self):
        self.synchronise(clients.mbsync, self.postern.imaps, "IMAPS")

    def test_offlineimap_starttls(self):
        self.synchronise(clients.offlineimap, self.postern.imap, "ssl = no\nstarttls = yes")

    def test_offlineimap_implicit_tls(self):
        self.synchronise(clients.offlineimap, self.postern.imaps, "ssl = yes")


class ImaplibTest(ImapTest):
    def starttls(self):
        client = imaplib.IMAP4("localhost", self.postern.imap, timeout=30)
        self.assertIn("STARTTLS", client.capabilities)
        self.assertIn("LOGINDISABLED", client.capabilities)
        client.starttls(self.postern.trust())
        self.assertNotIn("STARTTLS", client.capabilities)
        self.assertNotIn("LOGINDISABLED", client.capabilities)
        return client

    def implicit(self):
        return imaplib.IMAP4_SSL("localhost", self.postern.imaps, timeout=30, ssl_context=self.postern.trust())

    def use(self, client, login):
        login(client)
        self.assertEqual(client.list()[0], "OK")
        self.assertEqual(client.select("INBOX"), ("OK", [b"%d" % len(MESSAGES)]))
        for number, message in enumerate(MESSAGES, 1):
            parts = client.fetch(str(number), "(BODY.PEEK[])")[1]
            self.assertEqual(parts[0][1] == message.replace(b"\n", b"\r\n"), True, number)
        new = b"Subject: appended\r\n\r\nx STARTTLS\r\n"
        self.assertEqual(client.append("INBOX", None, None, new)[0], "OK")
        client.noop()  # by which imapd hears of it
        self.assertEqual(client.search(None, "SUBJECT", "appended"), ("OK", [b"4"]))
        client.store("1", "+FLAGS", "\\Deleted")
        client.expunge()
        client.close()
        self.assertEqual(client.logout()[0], "BYE")
        self.check_ended()
        self.assertEqual(len(self.postern.messages()), len(MESSAGES))  # one more, one less

    def test_starttls(self):
        self.use(self.starttls(), lambda client: client.login(USER, self.postern.password))

    def test_implicit_tls(self):
        self.use(self.implicit(), lambda client: client.login(USER, self.postern.password))

    def test_sasl_plain(self):
        message = b"\0%s\0%s" % (USER.encode(), self.postern.password.encode())
        self.use(self.implicit(), lambda client: client.authenticate("PLAIN", lambda _: message))


if __name__ == "__main__":
    harness.main()
