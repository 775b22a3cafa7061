"""IMAP before Debian's imapd, logged in by checkpassword: what a client that says exactly what it is told to sees of it."""

import concurrent.futures
import os
import unittest

import harness
import imap
from harness import MESSAGES, ROOT, USER

OCTETS = 20_000_000


def on_the_wire(message):
    return message.replace(b"\n", b"\r\n")


class MailboxTest(harness.PosternTest):
    PROTOCOL = "imap"

    def setUp(self):
        super().setUp()
        environment = harness.courier_service("imap", self.installation.path("courier"))["environment"]
        environment["IMAP_ENHANCEDIDLE"] = "1"  # be told at once
        self.postern = self.start(service={"plaintext": "allow", "environment": environment})
        self.ways = (self.postern.connect, self.postern.connect_stls, self.postern.connect_tls)

    def deliver(self, name):
        message = self.postern.maildir + "/tmp/" + name
        with open(message, "wb") as file:
            file.write(b"Subject: new\n\nhere\n")
        if ROOT:
            os.chown(message, self.postern.mail_uid, self.postern.mail_uid)
        os.rename(message, self.postern.maildir + "/new/" + name)

    def test_login_is_answered_by_the_backend(self):
        for connect in self.ways:
            with self.subTest(connect=connect.__name__), connect() as client:
                client.send(b"odd.tag=]1 LOGIN %s %s\r\n" % (USER.encode(), self.postern.password.encode()))
                untagged, reply = client.replies(b"odd.tag=]1")
                self.assertEqual(reply, b"OK LOGIN Ok.")
                # imapd says so where gam_server takes its time.
                self.assertEqual([line for line in untagged if not line.startswith(b"* OK [ALERT] ")], [])
                self.assertEqual(len(client.ok(b"LIST \"\" *")), 1)
                self.assertEqual(client.command(b"LOGOUT")[1], b"OK LOGOUT completed")
                self.assert_closed(client)
                self.postern.log.wait("backend_end", session=self.postern.session_of(client), status=0)

    def test_commands_behind_login_reach_the_backend(self):
        """In the same segment, a literal among them. imapd knows LITERAL+ not, but takes octets that come before it asks."""
        login = b"a LOGIN %s {%d+}\r\n%s\r\n" % (USER.encode(), len(self.postern.password), self.postern.password.encode())
        new = b"Subject: x STARTTLS\r\n\r\nx STARTTLS\r\nx LOGOUT\r\n"
        behind = b"b SELECT INBOX\r\nc FETCH 3 BODY.PEEK[]\r\nd APPEND INBOX {%d}\r\n%s\r\ne LOGOUT\r\n" % (len(new), new)
        for number, connect in enumerate(self.ways, len(MESSAGES) + 1):
            with self.subTest(connect=connect.__name__), connect() as client:
                client.send(login + behind)
                _, reply = client.replies(b"a")
                self.assertEqual(reply, b"OK LOGIN Ok.")
                _, reply = client.replies(b"b")
                self.assertEqual(reply, b"OK [READ-WRITE] Ok")
                (fetched,), reply = client.replies(b"c")
                self.assertEqual(on_the_wire(MESSAGES[2]) in fetched, True)
                self.assertEqual(client.line(), b"+ OK")
                _, reply = client.replies(b"d")
                self.assertTrue(reply.startswith(b"OK [APPENDUID"), reply)
                _, reply = client.replies(b"e")
                self.assertEqual(reply, b"OK LOGOUT completed")
                self.assert_closed(client)
                self.assertEqual(len(self.postern.messages()), number)

    def test_twenty_megabytes_there_and_back(self):
        message = b"Subject: big\r\n\r\n" + b"".join(b"%077d\r\n" % number for number in range(OCTETS // 79))
        for connect in self.ways[1:]:
            with self.subTest(connect=connect.__name__), connect() as client:
                client.login(USER, self.postern.password)
                client.ok(b"SELECT INBOX")
                self.assertTrue(client.append(b"INBOX", message).startswith(b"OK "))
                client.ok(b"NOOP")
                (fetched,) = client.ok(b"FETCH 4 BODY.PEEK[]")
                self.assertEqual(message in fetched, True, (len(message), len(fetched), fetched[:99]))
                client.ok(b"STORE 4 +FLAGS.SILENT (\\Deleted)")
                client.ok(b"EXPUNGE")

    def idle(self, client):
        client.ok(b"SELECT INBOX")
        client.send(b"idle IDLE\r\n")
        untagged, reply = client.replies(b"idle")
        self.assertTrue(reply.startswith(b"+"), (untagged, reply))

    def be_told(self, client, count):
        """Of one more message than before: `count` in all."""
        self.deliver("18000000%02d.9.localhost" % count)
        client.until(b"* %d EXISTS" % count)
        client.send(b"DONE\r\n")
        self.assertTrue(client.replies(b"idle")[1].startswith(b"OK "))

    def test_idle_is_told_of_new_mail(self):
        for count, connect in enumerate(self.ways, len(MESSAGES) + 1):
            with self.subTest(connect=connect.__name__), connect() as client:
                client.login(USER, self.postern.password)
                self.idle(client)
                self.be_told(client, count)

    def test_idle_is_told_after_the_end_of_an_older_session(self):
        """Which had started the gam_server that both had."""
        with self.postern.logged_in() as older, self.postern.connect_tls() as client:
            older.ok(b"SELECT INBOX")
            client.login(USER, self.postern.password)
            self.idle(client)
            older.ok(b"LOGOUT")
            self.postern.log.wait("backend_end", session=self.postern.session_of(older))
            self.be_told(client, len(MESSAGES) + 1)

    def test_many_sessions_of_one_user(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            sessions = list(pool.map(lambda number: self.ways[number % 3](), range(12)))
            list(pool.map(lambda client: client.login(USER, self.postern.password), sessions))
            for client in sessions:
                self.assertIn(b"* %d EXISTS" % len(MESSAGES), client.ok(b"SELECT INBOX"))
            list(pool.map(lambda client: client.ok(b"LOGOUT"), sessions))


@unittest.skipUnless(ROOT, "only root has users with two uids")
class TwoMailboxesTest(harness.PosternTest):
    PROTOCOL = "imap"
    OTHER = "other"

    def setUp(self):
        super().setUp()
        self.postern = self.start()
        password = self.postern.add_mailbox(self.OTHER, [b"From: d@localhost\nSubject: only of other\n\nother\n"])
        self.passwords = {USER: self.postern.password, self.OTHER: password}

    def subjects(self, client):
        client.ok(b"SELECT INBOX")
        return b"".join(client.ok(b"FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]"))

    def log_in(self, user, connect):
        client = connect()
        client.login(user, self.passwords[user])
        return client

    def test_neither_sees_the_others_mail(self):
        for connect in (self.postern.connect_stls, self.postern.connect_tls):
            with self.log_in(USER, connect) as demo, self.log_in(self.OTHER, connect) as other:
                servers = self.postern.processes(lambda process: process.program().endswith("/imapd"))
                uids = {process.status()["Uid"].split()[0] for process in servers}
                self.assertEqual(uids, {str(self.postern.mail_uid), str(self.postern.other_uid)})
                self.assertNotIn(b"only of other", self.subjects(demo))
                self.assertEqual(self.subjects(other).count(b"Subject:"), 1)
                # The way of courier to another place in the file system.
                for name in (b"../../home/Maildir", b"INBOX.../../../home/Maildir", b"#shared.demo"):
                    untagged, reply = other.command(b"SELECT " + imap.quoted(name.decode()))
                    self.assertTrue(reply.startswith((b"NO", b"BAD")), (untagged, reply))
                self.assertTrue(other.append(b"INBOX", b"Subject: mine\r\n\r\n").startswith(b"OK"))
                self.assertEqual(self.subjects(other).count(b"Subject:"), 2)
                other.ok(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")
                self.assertEqual(self.subjects(demo).count(b"Subject:"), len(MESSAGES))
                other.ok(b"STORE 1:* -FLAGS.SILENT (\\Deleted)")
                for client in (demo, other):
                    client.ok(b"LOGOUT")
            with self.log_in(self.OTHER, connect) as other:
                other.ok(b"SELECT INBOX")
                other.ok(b"STORE 2 +FLAGS.SILENT (\\Deleted)")
                other.ok(b"EXPUNGE")

    def test_the_password_of_one_is_not_the_others(self):
        with self.postern.connect_tls() as client:
            untagged, reply = client.command(b"LOGIN %s %s" % (self.OTHER.encode(), imap.quoted(self.passwords[USER])))
            self.assertEqual(untagged, [])
            self.assertTrue(reply.startswith(b"NO [AUTHENTICATIONFAILED]"), reply)


if __name__ == "__main__":
    harness.main()
