"""Mail clients that people use, before Debian's courierpop3d; each believes in the demo's certificate and no other."""

import os
import poplib

import clients
import harness
from clients import ClientsTest, run
from harness import MESSAGES, USER, as_on_the_wire


class CurlTest(ClientsTest):
    def curl(self, url, *options):
        return clients.curl(self.postern, url, *options)

    def test_stls(self):
        base = "pop3://localhost:%d/" % self.postern.pop3
        self.assertEqual(len(self.curl(base, "--ssl-reqd").splitlines()), len(MESSAGES))
        self.assertEqual(self.curl(base + "1", "--ssl-reqd"), MESSAGES[0].replace(b"\n", b"\r\n"))
        self.check_ended(2)

    def test_implicit_tls(self):
        base = "pop3s://localhost:%d/" % self.postern.pop3s
        self.assertEqual(len(self.curl(base).splitlines()), len(MESSAGES))
        self.assertEqual(self.curl(base + "3"), MESSAGES[2].replace(b"\n", b"\r\n"))
        self.check_ended(2)

    def test_another_certificate_is_not_believed(self):
        other, _ = self.installation.make_certificate("other")
        url = "pop3s://localhost:%d/" % self.postern.pop3s
        done = run(["curl", "-sS", "--cacert", other, "-u", "x:y", url], status=None)
        self.assertEqual(done.returncode, 60, done)  # peer certificate cannot be authenticated
        self.postern.log.wait("tls_failed")


class OpensslTest(ClientsTest):
    def s_client(self, port, *options):
        text = "USER %s\nPASS %s\nLIST\nRETR 2\nQUIT\n" % (USER, self.postern.password)
        command = ["openssl", "s_client", "-quiet", "-crlf", "-verify_return_error", "-verify_hostname", "localhost"]
        command += ["-CAfile", self.postern.cert, "-connect", "127.0.0.1:%d" % port, *options]
        lines = run(command, text.encode()).stdout.splitlines()
        self.assertIn(b"+OK POP3 clients that break here, they violate STD53.", lines)  # courierpop3d's words to LIST
        for line in as_on_the_wire(MESSAGES[1]):
            self.assertIn(line, lines)
        self.check_ended()

    def test_stls(self):
        self.s_client(self.postern.pop3, "-starttls", "pop3")

    def test_implicit_tls(self):
        self.s_client(self.postern.pop3s)

    def test_tls12(self):
        self.s_client(self.postern.pop3s, "-tls1_2")
        self.postern.log.wait("tls", version="TLSv1.2")


class FetchmailTest(ClientsTest):
    def fetchmail(self, port, how):
        got = clients.fetchmail(self.postern, port, how)
        self.assertEqual(got.count(b"=end="), len(MESSAGES))
        self.assertIn(MESSAGES[1].split(b"\n\n", 1)[1], got)
        self.check_ended()

    def test_stls(self):
        self.fetchmail(self.postern.pop3, 'sslproto "TLS1.2+"')

    def test_implicit_tls(self):
        self.fetchmail(self.postern.pop3s, "ssl")


class MpopTest(ClientsTest):
    def mpop(self, port, starttls):
        messages, _ = clients.mpop(self.postern, port, starttls)
        self.check_messages(messages)
        self.check_ended()
        self.assertEqual(len(self.postern.messages()), len(MESSAGES))

    def test_stls(self):
        self.mpop(self.postern.pop3, "on")

    def test_implicit_tls(self):
        self.mpop(self.postern.pop3s, "off")

    def test_asks_for_the_capabilities(self):
        _, said = clients.mpop(self.postern, self.postern.pop3, "on", "--serverinfo")
        self.assertIn(b"TOP", said)
        self.assertIn(b"UIDL", said)
        self.check_ended()


class MuttTest(ClientsTest):
    def mutt(self, port, scheme):
        self.check_in_one_file(clients.mutt(self.postern, port, scheme))
        self.check_ended()
        self.assertEqual(len(self.postern.messages()), len(MESSAGES))

    def test_stls(self):
        self.mutt(self.postern.pop3, "pop")

    def test_implicit_tls(self):
        self.mutt(self.postern.pop3s, "pops")


class GetmailTest(ClientsTest):
    def test_implicit_tls(self):
        self.check_messages(clients.getmail(self.postern))
        self.check_ended()
        self.assertEqual(len(self.postern.messages()), len(MESSAGES))


class PoplibTest(ClientsTest):
    def stls(self):
        client = poplib.POP3("localhost", self.postern.pop3, timeout=30)
        self.assertIn("STLS", client.capa())
        client.stls(self.postern.trust())
        return client

    def implicit(self):
        return poplib.POP3_SSL("localhost", self.postern.pop3s, timeout=30, context=self.postern.trust())

    def read_everything(self, client):
        client.user(USER)
        self.assertEqual(client.pass_(self.postern.password), b"+OK logged in.")
        count, _ = client.stat()
        self.assertEqual(count, len(MESSAGES))
        self.assertEqual(len({line.split()[1] for line in client.uidl()[1]}), len(MESSAGES))
        for number, message in enumerate(MESSAGES, 1):
            self.assertEqual(client.retr(number)[1], message.splitlines())
            self.assertEqual(client.top(number, 0)[1], message.split(b"\n\n")[0].splitlines() + [b""])
        client.rset()
        client.quit()
        self.check_ended()

    def test_stls_reads_everything(self):
        self.read_everything(self.stls())

    def test_implicit_tls_reads_everything(self):
        self.read_everything(self.implicit())

    def test_deletes_at_quit(self):
        before = self.postern.messages()
        client = self.stls()
        client.user(USER)
        client.pass_(self.postern.password)
        client.dele(2)
        self.assertEqual(self.postern.messages(), before)
        client.quit()
        self.check_ended()
        self.assertEqual(self.postern.messages(), [before[0], before[2]])

    def test_a_message_dropped_into_new_is_served(self):
        with open(self.postern.maildir + "/tmp/1800000000.9.localhost", "wb") as file:
            file.write(b"Subject: dropped\n\nhere\n")
        os.rename(self.postern.maildir + "/tmp/1800000000.9.localhost", self.postern.maildir + "/new/1800000000.9.localhost")
        client = self.implicit()
        client.user(USER)
        client.pass_(self.postern.password)
        self.assertEqual(client.stat()[0], len(MESSAGES) + 1)
        self.assertIn(b"Subject: dropped", client.retr(len(MESSAGES) + 1)[1])
        client.quit()


del ClientsTest  # only its children are tests

if __name__ == "__main__":
    harness.main()
