"""IMAP whose octets come in any pieces, literals among them, and more of them than all buffers hold."""

import base64
import hashlib

import dialect
import harness
import imap
import patience
from connection import ClearText, Engine
from harness import USER


class SegmentsTest(dialect.Imap, harness.PosternTest):
    """A whole session without waiting for any answer, before imapd, in two segments wherever these may part, and octet by octet."""

    def setUp(self):
        super().setUp()
        self.postern = self.start(service={"plaintext": "allow"})
        user, password = USER.encode(), self.postern.password.encode()
        self.literals = b"a ID ({4+}\r\nname {0+}\r\n)\r\nb XYZZY {3+}\r\nx\r\n\r\nc LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (
            *(len(user), user, len(password), password),
        )
        answer = base64.b64encode(b"\0%s\0%s" % (user, password))
        self.sasl = b"a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\nc AUTHENTICATE PLAIN\r\n" + answer + b"\r\n"
        self.inside = b"d NOOP\r\ne LOGOUT\r\n"
        with self.postern.logged_in():
            pass  # gam_server has been started

    def converse(self, client, segments, before):
        with client:
            for segment in segments:
                client.send(segment)
            said = client.rest().split(b"\r\n")
        self.assertEqual([line.partition(b" [")[0] for line in said], [*before, *self.AFTER])

    LITERALS = (b"* ID NIL", b"a OK ID completed", b"b BAD no literal is expected here")
    SASL = (b"+ ", b"a BAD cancelled", b"b OK NOOP completed", b"+ ")
    AFTER = (b"c OK LOGIN Ok.", b"d OK NOOP completed", b"* BYE Courier-IMAP server shutting down", b"e OK LOGOUT completed", b"")

    def splits(self, whole):
        return [(whole[:at], whole[at:]) for at in range(1, len(whole))]

    def test_literals(self):
        for segments in self.splits(self.literals + self.inside):
            with self.subTest(segments=segments):
                self.converse(self.postern.connect_tls(), segments, self.LITERALS)

    def test_answers_to_challenges_in_clear_text(self):
        for segments in self.splits(self.sasl + self.inside):
            with self.subTest(segments=segments):
                self.converse(self.postern.connect(), segments, self.SASL)

    def test_a_wrong_password_keeps_the_backend_away(self):
        """What is behind it is the broker's, the next login and what is behind that too."""
        for greeting in ("tag", "preauth"):
            postern = self.start(service={"greeting": greeting})
            right, wrong = (b"LOGIN %s {%d+}\r\n%s\r\n" % (USER.encode(), len(text), text) for text in (postern.password.encode(), b"x"))
            with postern.connect_tls() as client:
                client.send(b"a " + wrong + b"b NOOP\r\nc " + right + b"d NOOP\r\ne LOGOUT\r\n")
                said = [line.partition(b" [")[0] for line in client.rest().split(b"\r\n")]
                login = b"c OK LOGIN Ok." if greeting == "tag" else b"c OK Ready."
                self.assertEqual(said, [b"a NO", b"b OK NOOP completed", login, *self.AFTER[1:]])

    def test_octet_by_octet(self):
        for before, answers in ((self.literals, self.LITERALS), (self.sasl, self.SASL)):
            whole = before + self.inside
            for connect in (self.postern.connect, self.postern.connect_stls, self.postern.connect_tls):
                self.converse(connect(), [whole[i : i + 1] for i in range(len(whole))], answers)


class FullTest(dialect.Imap, harness.PosternTest):
    """Before imapd: 10 MB of commands, and no reply is read before nothing more can be written. Nobody may wait for ever, and
    every reply is right."""

    COUNT = 150_000

    def check(self, engine):
        tags = [b"%060d" % number for number in range(self.COUNT)]
        commands = [b"".join(tag + b" NOOP\r\n" for tag in tags[at : at + 200]) for at in range(0, self.COUNT, 200)]
        replies = b"".join(tag + b" OK NOOP completed\r\n" for tag in tags)
        got = patience.digest_of_replies(engine, commands, len(replies))
        self.assertEqual(got, hashlib.sha256(replies).hexdigest())

    def test_full_buffers_both_ways(self):
        postern = self.start()
        with imap.Client(postern.imaps) as client:
            engine = Engine(client.sock, postern.trust()).handshake()
            engine.until(b"\r\n")
            engine.send(self.raw_login(USER, postern.password))
            engine.until(b"\r\n")
            self.check(engine)

    def test_full_buffers_through_the_broker(self):
        """In clear text it stays before a program that greets with PREAUTH."""
        postern = self.start(service={"greeting": "preauth", "plaintext": "allow"})
        with postern.connect() as client:
            client.login(USER, postern.password)
            self.check(ClearText(client.sock))
            self.assertTrue(postern.worker("protocolbroker", postern.session_of(client)))


if __name__ == "__main__":
    harness.main()
