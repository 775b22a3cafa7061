"""Dovecot's imap, which answers the LOGIN itself (it knows IMAPLOGINTAG) or only greets."""

import clients
import dovecot
import harness
import imap
from harness import MESSAGES, USER


class DovecotTest(clients.ClientsTest):
    PROTOCOL = "imap"
    GREETING = None

    def setUp(self):
        harness.PosternTest.setUp(self)
        service = {**dovecot.service(self.installation), "plaintext": "allow", "greeting": self.GREETING}
        self.postern = self.start(service=service)
        self.ways = (self.postern.connect, self.postern.connect_stls, self.postern.connect_tls)

    def test_login(self):
        for connect in self.ways:
            with self.subTest(connect=connect.__name__), connect() as client:
                untagged, reply = client.command(b"LOGIN %s %s" % (USER.encode(), imap.quoted(self.postern.password)))
                self.assertEqual(untagged, [])
                self.assertTrue(reply.startswith(b"OK [CAPABILITY IMAP4rev1 "), reply)
                self.assertIn(b" Logged in", reply)
                told = reply.partition(b"[CAPABILITY ")[2].partition(b"]")[0].decode().split()
                self.assertEqual(client.capabilities(), told)
                client.ok(b"SELECT INBOX")
                (fetched,) = client.ok(b"FETCH 3 BODY.PEEK[]")
                self.assertEqual(MESSAGES[2].replace(b"\n", b"\r\n") in fetched, True)
                self.assertEqual(client.command(b"LOGOUT")[1][:2], b"OK")
                self.assert_closed(client)
            self.postern.log.wait("backend_end", session=self.postern.session_of(client), status=0)
            self.postern.log.wait("close", session=self.postern.session_of(client))

    def test_commands_behind_login(self):
        login = b"a LOGIN %s %s\r\n" % (USER.encode(), imap.quoted(self.postern.password))
        new = b"Subject: x STARTTLS\r\n\r\nx LOGOUT\r\n"
        behind = b"b SELECT INBOX\r\nc FETCH 3 BODY.PEEK[]\r\nd APPEND INBOX {%d+}\r\n%s\r\ne LOGOUT\r\n" % (len(new), new)
        for connect in self.ways:
            with self.subTest(connect=connect.__name__), connect() as client:
                client.send(login + behind)
                for tag in (b"a", b"b", b"c", b"d", b"e"):
                    untagged, reply = client.replies(tag)
                    self.assertTrue(reply.startswith(b"OK "), (tag, untagged, reply))
                self.assert_closed(client)

    def test_wrong_password(self):
        with self.postern.connect_tls() as client:
            untagged, reply = client.command(b"LOGIN %s wrong" % USER.encode())
            self.assertTrue(reply.startswith(b"NO [AUTHENTICATIONFAILED]"), (untagged, reply))
            client.login(USER, self.postern.password)

    def test_twenty_megabytes_there_and_back(self):
        message = b"Subject: big\r\n\r\n" + b"".join(b"%077d\r\n" % number for number in range(250_000))
        with self.postern.connect_stls() as client:
            client.login(USER, self.postern.password)
            self.assertTrue(client.append(b"INBOX", message).startswith(b"OK "))
            client.ok(b"SELECT INBOX")
            (fetched,) = client.ok(b"FETCH 4 BODY.PEEK[]")
            self.assertEqual(message in fetched, True, (len(message), len(fetched)))

    def test_a_client_that_vanishes(self):
        for connect in self.ways:
            with self.subTest(connect=connect.__name__), connect() as client:
                client.login(USER, self.postern.password)
                session = self.postern.session_of(client)
                client.sock.close()
                self.postern.log.wait("backend_end", session=session)
                self.postern.log.wait("close", session=session)

    def test_clients(self):
        postern = self.postern
        for base, *options in (
            ("imap://localhost:%d/" % postern.imap, "--ssl-reqd"),
            ("imaps://localhost:%d/" % postern.imaps,),
        ):
            got = clients.curl(postern, base + "INBOX;MAILINDEX=1", *options)
            self.assertEqual(got, MESSAGES[0].replace(b"\n", b"\r\n"))
        got = clients.fetchmail(postern, postern.imap, 'sslproto "TLS1.2+"')
        self.assertEqual(got.count(b"=end="), len(MESSAGES))
        for client, how in ((clients.mbsync, "IMAPS"), (clients.offlineimap, "ssl = yes")):
            self.assertEqual(len(clients.digests(client(postern, postern.imaps, how))), len(MESSAGES))
        self.check_in_one_file(clients.mutt(postern, postern.imap, "imap", "neomutt"))
        self.check_ended(6)


class PreauthTest(DovecotTest):
    """The same, but its greeting is made an answer."""

    GREETING = "preauth"

    def test_it_only_greets(self):
        """So that the other tests show what they are to show."""
        with self.postern.logged_in() as client:
            (server,) = self.postern.processes(lambda process: process.program().endswith("/bin/imap"))
            self.assertNotIn(b"IMAPLOGINTAG=", server.read("environ"))
            client.ok(b"NOOP")


if __name__ == "__main__":
    harness.main()
