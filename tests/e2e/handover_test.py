"""The stream changes hands at PASS: from the broker to the backend, with every octet behind PASS's CRLF and no other."""

import hashlib
import itertools
import os
import random
import threading

import harness
import patience
import pop3
from harness import MESSAGES, USER, eventually

MEGABYTES_100 = 100 * 1000 * 1000


class RecordingTest(harness.PosternTest):
    """Before a backend that keeps what it gets."""

    def setUp(self):
        super().setUp()
        self.postern = self.start(service=self.installation.backend("record"))
        self.before = b"USER %s\r\nPASS %s\r\n" % (USER.encode(), self.postern.password.encode())
        self.behind = b"STAT\r\nLIST\r\nQUIT\r\n"

    def recorded(self):
        """What the one backend of this session got, once it has met its end of file."""
        path = self.postern.home + "/recorded.eof"
        eventually(lambda: os.path.exists(path), lambda: "%s: %s" % (path, os.listdir(self.postern.home)))
        with open(path, "rb") as file:
            octets = file.read()
        os.unlink(path)
        return octets

    def converse(self, client, segments, replies):
        """Sends the segments without waiting for anything, and checks the replies to all they hold."""
        for segment in segments:
            client.send(segment)
        self.assertEqual([client.line()[:3] for _ in range(2)], [b"+OK", b"+OK"])  # USER, and the backend's to PASS
        for line in replies.split(b"\r\n")[:-1]:
            self.assertEqual(client.line(), b"+OK " + line)
        client.sock.unwrap().close()

    def test_any_split_of_what_is_pipelined(self):
        whole = self.before + self.behind
        # A session for each split takes a while: every place around the hand-over, and some of the others.
        border = len(self.before)
        splits = sorted({*range(border - 6, border + 7), *range(1, len(whole), 7), len(whole) - 1, len(whole)})
        for split in splits:
            with self.subTest(split=split):
                client = self.postern.connect_tls()
                self.converse(client, [part for part in (whole[:split], whole[split:]) if part], self.behind)
                self.assertEqual(self.recorded(), self.behind)

    def test_octet_by_octet(self):
        whole = self.before + self.behind
        self.converse(self.postern.connect_stls(), [whole[i : i + 1] for i in range(len(whole))], self.behind)
        self.assertEqual(self.recorded(), self.behind)

    def test_three_segments_around_the_line_end(self):
        whole = self.before[:-2], b"\r", b"\n" + self.behind
        self.converse(self.postern.connect_stls(), whole, self.behind)
        self.assertEqual(self.recorded(), self.behind)

    def test_much_is_pipelined(self):
        behind = b"".join(b"NOOP %d %s\r\n" % (i, b"x" * (i % 200)) for i in range(2000))
        client = self.postern.connect_tls()
        reader = threading.Thread(target=self.converse, args=(client, [self.before + behind], behind))
        reader.start()
        reader.join(60)
        self.assertFalse(reader.is_alive())
        self.assertEqual(self.recorded(), behind)

    def test_octets_pass_unchanged(self):
        """What is no POP3 at all: the front is not the judge."""
        behind = bytes(range(256)).replace(b"\n", b"") + b"\n" + b"\r\r\n\n.\r\n" + b"x" * 5000 + b"\r\n"
        client = self.postern.connect_tls()
        client.send(self.before + behind)
        self.assertEqual([client.line()[:3] for _ in range(2)], [b"+OK", b"+OK"])
        for _ in range(behind.count(b"\n")):
            while client.exactly(1) != b"\n":
                pass
        client.sock.unwrap().close()
        self.assertEqual(self.recorded(), behind)

    def test_a_wrong_password_keeps_the_backend_away(self):
        with self.postern.connect_tls() as client:
            client.send(b"USER demo\r\nPASS wrong\r\n" + self.before + self.behind)
            self.assert_ok(client.line())
            self.assert_err(client.line())
            self.converse(client, [], self.behind)
            self.assertEqual(self.recorded(), self.behind)

    def test_an_unterminated_line_is_dropped_when_the_connection_is_lost(self):
        client = self.postern.connect_tls()
        client.send(self.before + b"STAT\r\nQUIT")
        self.assertEqual([client.line()[:3] for _ in range(3)], [b"+OK"] * 3)
        client.sock.close()  # no close_notify
        self.assertEqual(self.recorded(), b"STAT\r\n")
        self.postern.log.wait("tls_end", why="client_lost")


class EndsTest(harness.PosternTest):
    """Before courierpop3d, which deletes mail at an unterminated QUIT and an end of file."""

    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def lose(self, last):
        before = self.postern.messages()
        for client in (self.postern.connect_tls(), self.postern.connect_stls()):
            session = self.postern.session_of(client)
            client.login(USER, self.postern.password)
            client.ok(b"DELE 1")
            client.send(last)
            client.sock.close()
            self.postern.log.wait("backend_end", session=session)
            self.assertEqual(self.postern.messages(), before)
            self.postern.log.wait("close", session=session)

    def test_nothing_is_deleted_without_quit(self):
        self.lose(b"")

    def test_nothing_is_deleted_at_an_unterminated_quit(self):
        self.lose(b"QUIT")

    def test_nothing_is_deleted_at_half_a_line_end(self):
        self.lose(b"QUIT\r")

    def test_quit_is_answered_and_followed_by_close_notify(self):
        client = self.postern.logged_in()
        client.ok(b"DELE 1")
        client.ok(b"QUIT")
        self.assertEqual(client.sock.recv(1), b"")  # not SSLEOFError: the end is the server's word
        self.assertEqual(len(self.postern.messages()), len(harness.MESSAGES) - 1)
        client.sock.unwrap().close()  # and it waits for ours

    def test_quit_before_login_is_followed_by_close_notify(self):
        for client in (self.postern.connect_tls(), self.postern.connect_stls()):
            with client:
                client.ok(b"QUIT")
                self.assertEqual(client.sock.recv(1), b"")

    def test_a_client_that_closes_its_side_hears_the_rest(self):
        with pop3.Client(self.postern.pop3s) as client:
            engine = pop3.Engine(client.sock, self.postern.trust()).handshake()
            engine.send(b"USER %s\r\nPASS %s\r\n" % (USER.encode(), self.postern.password.encode()))
            engine.until(b"+OK logged in.\r\n")
            engine.send(b"RETR 3\r\n")
            engine.close_own_side()
            text = b""
            while not engine.closed:
                self.assertTrue(engine.take(), "an end without close_notify")
                text += engine.plain()
            self.assertIn(MESSAGES[2].replace(b"\n", b"\r\n") + b".\r\n", text)


class BulkTest(harness.PosternTest):
    """100 MB each way."""

    def setUp(self):
        super().setUp()
        self.postern = self.start(service=self.installation.backend("bulk"))

    def download(self, client):
        digest = client.ok(b"SEND %d" % MEGABYTES_100).split()[1].decode()
        got, left = hashlib.sha256(), MEGABYTES_100
        while left:
            part = client.sock.recv(min(left, 1 << 16))
            self.assertNotEqual(part, b"")
            got.update(part)
            left -= len(part)
        self.assertEqual(got.hexdigest(), digest)

    def upload(self, client):
        # Lines, since POP3's commands are; every octet but LF in them.
        source = random.Random(3)
        block = b"".join(source.randbytes(source.randrange(500)).replace(b"\n", b"\t") + b"\r\n" for _ in range(4000))
        block = block[:999_998] + b"\r\n"
        client.ok(b"TAKE %d" % MEGABYTES_100)
        sent = hashlib.sha256()
        for _ in range(MEGABYTES_100 // len(block)):
            client.send(block)
            sent.update(block)
        self.assertEqual(MEGABYTES_100 % len(block), 0)
        self.assertEqual(client.line(), b"+OK " + sent.hexdigest().encode())

    def check_counts(self, client):
        session = self.postern.session_of(client)
        client.ok(b"QUIT")
        client.sock.close()
        end = self.postern.log.wait("tls_end", session=session)
        return int(end.fields["in"]), int(end.fields["out"])

    def test_to_the_client(self):
        client = self.postern.logged_in()
        self.download(client)
        _, out = self.check_counts(client)
        self.assertGreater(out, MEGABYTES_100)

    def test_to_the_backend(self):
        client = self.postern.logged_in()
        self.upload(client)
        inward, _ = self.check_counts(client)
        self.assertGreater(inward, MEGABYTES_100)

    def test_full_buffers_both_ways(self):
        """32 MB of commands, and no reply is read before nothing more can be written: nobody may wait for ever."""
        line = b"x" * 998 + b"\r\n"
        count = 32_000
        with pop3.Client(self.postern.pop3s) as client:
            engine = pop3.Engine(client.sock, self.postern.trust()).handshake()
            engine.send(b"USER %s\r\nPASS %s\r\n" % (USER.encode(), self.postern.password.encode()))
            engine.until(b"+OK bulk\r\n")
            expected = hashlib.sha256((b"+OK " + line) * count).hexdigest()
            commands = itertools.repeat(line * 10, count // 10)
            self.assertEqual(patience.digest_of_replies(engine, commands, count * (4 + len(line))), expected)


if __name__ == "__main__":
    harness.main()
