"""IMAP commands that nobody should send: each has the answer that the RFC gives, a limit that ends the session has a name in
the log, nothing grows with what a client announces, and the next client is served."""

import base64

import dialect
import harness
import pressure
from harness import ROOT, USER

# As protocolbroker/imap/machine.h and sasl/exchange.h have them.
COMMAND_OCTETS_MAX = 8192
TAG_OCTETS_MAX = 62
LITERAL_OCTETS_MAX = 501
DROPPED_OCTETS_MAX = 65536
BAD_COMMANDS_MAX = 100
ANSWER_OCTETS_MAX = 1024

NUMBERS_TOO_LARGE = (502, 2**31 - 1, 2**31, 2**32, 2**32 + 4, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**64 + 4, 10**100)
NO_LITERALS = (b"{-1}", b"{}", b"{+}", b"{5", b"{5}}", b"{0x5}", b"{ 5}", b"{5 }", b"{5++}", b"{5+}x", b"{5}+")
BAD = {
    "unbalanced quotes": (b'x LOGIN "a b', b'x LOGIN a "b', b'x LOGIN a b"', b'x LOGIN a "', b'x LOGIN "a"b" c', b'x ID ("a'),
    "quotes around a literal": (b'x LOGIN "a {3}', b'x LOGIN "a" "b {3+}', b'x NOOP "{3+}'),
    "escapes": (b'x LOGIN a "b\\', b'x LOGIN a "b\\"', b'x LOGIN a "b\\c"', b"x LOGIN a b\\c"),
    "wrong number of arguments": (b"x LOGIN", b"x LOGIN a", b"x LOGIN a b c", b"x LOGIN  a b", b"x LOGIN a b ", b"x NOOP x"),
    "parentheses": (b"x ID (", b'x ID ("a")', b'x ID ("a" "b"', b'x ID ("a" "b") x', b"x ID (a b)", b"x LOGIN (a) b", b"x ID ()()"),
    "numbers": tuple(b"x LOGIN a {%d}" % number for number in NUMBERS_TOO_LARGE),
    "of other states": (b"x SELECT INBOX", b"x APPEND INBOX {%d}" % 2**31, b"x UID FETCH 1 ALL", b"x IDLE", b"x UNSELECT"),
    "no literals": tuple(b"x LOGIN a " + literal for literal in NO_LITERALS),
    "control characters": (b"x NOOP\0", b"x\0NOOP", b"x LOGIN a \0", b"x NO\rOP", b"\rx NOOP", b"x NOOP\r", b"x\tNOOP", b"\x7f"),
    "octets above ASCII": (b"x N\xd6\xd6P", b"\xff\xfe NOOP", b"x LOGIN d\xe9mo b", b"x AUTHENTICATE PL\xc3\xa4IN", b"\x80" * 100),
    "no tag": (b"", b" ", b"NOOP", b" NOOP", b"* NOOP", b"+ NOOP", b'"x" NOOP', b"x+ NOOP", b"(x) NOOP", b"{1} NOOP", b"%", b"\\"),
    "long tags": (b"t" * (TAG_OCTETS_MAX + 1) + b" NOOP", b"t" * 8000),
    "AUTHENTICATE": (b"x AUTHENTICATE", b"x AUTHENTICATE PLAIN *", b"x AUTHENTICATE PLAIN ==", b"x AUTHENTICATE PLAIN a b"),
}


class HostileTest(dialect.Imap, harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start(service={"plaintext": "allow"})

    def tearDown(self):
        with self.postern.logged_in() as client:
            client.ok(b"NOOP")
        self.assertEqual(self.postern.log.find("worker_died"), [])

    def connections(self):
        """Of every kind, each greeted."""
        for connect in (self.postern.connect, self.postern.connect_stls, self.postern.connect_tls):
            with connect() as client:
                yield client

    def assert_goes_on(self, client):
        """The next answer is to the next command."""
        self.assertEqual(client.command(b"NOOP"), ([], b"OK NOOP completed"))

    def assert_ends(self, client, why, *said):
        """With these lines, each of which is a beginning, and the log says why."""
        for line in said:
            self.assertTrue(client.line().startswith(line), line)
        self.assert_closed(client)
        self.postern.log.wait("dialogue_end", session=self.postern.session_of(client), why=why)


class AnswersTest(HostileTest):
    def test_bad_commands(self):
        """One BAD each, under the tag if there is one, and the session goes on."""
        for what, lines in BAD.items():
            with self.postern.connect_tls() as client:
                for line in lines:
                    with self.subTest(what, line=line[:40]):
                        client.send(line + b"\r\n")
                        tag = line.split(b" ")[0] if line.startswith((b"x ", b"NOOP")) else b"*"
                        self.assertTrue(client.line().startswith(tag + b" BAD "))
                        self.assert_goes_on(client)

    def test_a_bare_lf_ends_a_line_that_is_not_obeyed(self):
        for client in self.connections():
            client.send(b"x NOOP\ny LOGOUT\n\nz LOGIN {4}\nz LOGIN {4+}\nx LOGOUT")
            for tag in (b"x", b"y", b"*", b"z"):
                self.assertEqual(client.line(), tag + b" BAD a line ends in CR LF, not in a bare LF")
            client.send(b"\r\n")  # the literal was "x LO"
            self.assertEqual(client.line(), b"z BAD a line ends in CR LF, not in a bare LF")
            self.assert_goes_on(client)

    def test_a_literal_where_none_can_be(self):
        """It is one all the same: another reader than ours would take what follows for a command."""
        for line in (b"x LOGIN a b{9+}", b"x LOGIN a {{9+}", b"x LOGIN a ~{9+}", b"x LOGIN{9+}", b"x{9+}", b"{9+}", b"x NOOP{9+}"):
            with self.postern.connect_tls() as client:
                client.send(line + b"\r\ny LOGOUT\n c\r\n")
                self.assertRegex(client.line(), rb"^(x|\*) BAD ", line)
                self.assert_goes_on(client)

    def test_the_longest_tag_is_answered(self):
        tag = b"t" * TAG_OCTETS_MAX
        for client in self.connections():
            client.send(tag + b" NOOP\r\n")
            self.assertEqual(client.line(), tag + b" OK NOOP completed")
            client.send(tag + b" " + self.raw_login(USER, self.postern.password).removeprefix(b"x "))
            self.assertTrue(client.replies(tag)[1].startswith(b"OK "))

    def test_every_character_of_a_tag(self):
        tag = bytes(set(range(0x21, 0x7F)) - set(b'(){%*"\\+'))
        with self.postern.connect_tls() as client:
            for part in (tag[: len(tag) // 2], tag[len(tag) // 2 :]):
                client.send(part + b" NOOP\r\n")
                self.assertEqual(client.line(), part + b" OK NOOP completed")

    def test_authenticate_cancelled(self):
        cases = ((b"PLAIN", ()), (b"LOGIN", ()), (b"LOGIN", (b"ZGVtbw==\r\n",)), (b"LOGIN ZGVtbw==", ()))
        for client in self.connections():
            for mechanism, before in cases:
                reply = client.dialogue(b"AUTHENTICATE " + mechanism, *before, b"*\r\n")
                self.assertEqual(reply, ([], b"BAD cancelled"))
                self.assert_goes_on(client)

    def test_answers_that_are_none(self):
        with self.postern.connect_tls() as client:
            for answer in (b"=", b"A", b"AAA", b"AAAA=", b"AA==AA==", b"AGRl bW8A", b" AGRlbW8AZGVtbw==", b"\0", b"\xff", b"*x", b"{4}"):
                self.assertEqual(client.dialogue(b"AUTHENTICATE PLAIN", answer + b"\r\n"), ([], b"BAD not base64"), answer)
            self.assertEqual(client.dialogue(b"AUTHENTICATE PLAIN", b"*\n")[1][:4], b"BAD ")
            for fields in (b"", b"demo", b"demo\0demo", b"\0a\0b\0c", b"other\0demo\0x", b"\0\0x", b"\0demo\0", b"\0de\nmo\0x"):
                answer = base64.b64encode(fields) + b"\r\n"
                self.assertTrue(client.dialogue(b"AUTHENTICATE PLAIN", answer)[1].startswith(b"NO "), fields)
            # An empty initial response is "=", RFC 4959.
            for command in (b"AUTHENTICATE PLAIN =", b"AUTHENTICATE CRAM-MD5", b"AUTHENTICATE X =", b'LOGIN "" x', b'LOGIN x ""'):
                self.assertTrue(client.command(command)[1].startswith(b"NO "), command)
            self.assert_goes_on(client)
        self.assertEqual(self.postern.log.find("login_failed"), [])

    def test_the_longest_credentials_are_tried_and_one_octet_more_is_not(self):
        with self.postern.connect_tls() as client:
            user, password = b"u" * 250, b"p" * 250
            client.send(b"x LOGIN {250+}\r\n" + user + b" {250+}\r\n" + password + b"\r\n")
            self.assertTrue(client.replies(b"x")[1].startswith(b"NO [AUTHENTICATIONFAILED] "))
            client.send(b"x LOGIN {%d+}\r\n" % LITERAL_OCTETS_MAX + b"u" * LITERAL_OCTETS_MAX + b" p\r\n")
            self.assertEqual(client.replies(b"x")[1], b"NO user name and password are too long to be tried")
            client.send(b"x LOGIN {%d+}\r\n" % (LITERAL_OCTETS_MAX + 1) + b"u" * (LITERAL_OCTETS_MAX + 1) + b" p\r\n")
            self.assertEqual(client.replies(b"x")[1], b"BAD the literal is too long")
            self.assert_goes_on(client)
        self.assertEqual(len(self.postern.log.find("login_failed")), 1)


class LimitsTest(HostileTest):
    def test_the_longest_line_is_answered_and_one_octet_more_ends_the_session(self):
        for client in self.connections():
            for line in (b"x NOOP ", b"x XYZZY ", b'x LOGIN "'):
                client.send(line.ljust(COMMAND_OCTETS_MAX - 2, b"a") + b"\r\n")
                self.assertTrue(client.line().startswith(b"x BAD "), line)
                self.assert_goes_on(client)
            client.send(b"x NOOP ".ljust(COMMAND_OCTETS_MAX - 1, b"a") + b"\r\n")
            self.assert_ends(client, "line_too_long", b"* BYE line too long")

    def test_lines_without_an_end(self):
        for what in (b"t", b'x LOGIN "', b"x LOGIN {", b"\0", b"\r", b"x NOOP {0"):
            with self.subTest(what), self.postern.connect_tls() as client:
                client.send(what + what[-1:] * 65536)
                self.assert_ends(client, "line_too_long", b"* BYE line too long")

    def test_a_command_of_many_lines_is_no_longer_than_one(self):
        for client in self.connections():
            client.send(b"x ID (" + b'"a" {100+}\r\n%s ' % (b"a" * 100) * 100)
            self.assert_ends(client, "line_too_long", b"* BYE line too long")

    def test_literals_of_nothing_in_a_chain(self):
        for command in (b"x LOGIN", b"x ID (", b"x XYZZY", b"y"):
            with self.subTest(command), self.postern.connect_tls() as client:
                client.send(command + b" {0+}\r\n" * (COMMAND_OCTETS_MAX // 7 + 1))
                self.assert_ends(client, "line_too_long", b"* BYE line too long")
        with self.postern.connect_tls() as client:
            client.send(b"x LOGIN {0}\r\n")
            asked = 0
            while (line := client.line()).startswith(b"+"):
                client.send(b" {0}\r\n")
                asked += 1
            self.assertTrue(line.startswith(b"x BAD "), line)
            self.assertLess(asked, COMMAND_OCTETS_MAX // 6)
            self.assert_goes_on(client)

    def test_what_is_announced_to_a_refused_command_is_swallowed_up_to_the_limit(self):
        for client in self.connections():
            for command in (b"x SELECT", b"x XYZZY", b"x NOOP", b"x AUTHENTICATE PLAIN", b"x LOGIN a"):
                client.send(command + b" {%d+}\r\n" % DROPPED_OCTETS_MAX + b"y LOGOUT\r\n".ljust(DROPPED_OCTETS_MAX, b"\n") + b"\r\n")
                self.assertTrue(client.line().startswith(b"x BAD "), command)
                self.assert_goes_on(client)
            client.send(b"x NOOP {%d+}\r\n" % (DROPPED_OCTETS_MAX + 1))
            self.assert_ends(client, "literal_too_long", b"x BAD ", b"* BYE ")

    def test_one_limit_for_all_literals_of_a_command(self):
        for command in (b"x SELECT", b"x LOGIN {1+}\r\na"):
            with self.subTest(command), self.postern.connect_tls() as client:
                client.send(command + b" {30000+}\r\n" + b"a" * 30000 + b" {30000+}\r\n" + b"a" * 30000 + b" {9999+}\r\n")
                self.assert_ends(client, "literal_too_long", b"x BAD ", b"* BYE ")

    def test_enormous_literals_that_do_not_wait(self):
        for number in NUMBERS_TOO_LARGE[1:] + (9_000_000,):
            for command in (b"x LOGIN a", b"x APPEND INBOX", b"x ID ("):
                with self.subTest(number, command=command), self.postern.connect_tls() as client:
                    client.send(command + b" {%d+}\r\nx LOGOUT\r\n" % number)
                    self.assert_ends(client, "literal_too_long", b"x BAD ", b"* BYE ")

    def test_too_many_bad_commands(self):
        for client in self.connections():
            client.send(b"".join(b"x%d XYZZY\r\n" % number for number in range(1000)))
            said = [b"x%d BAD " % number for number in range(BAD_COMMANDS_MAX)]
            self.assert_ends(client, "bad_commands", *said, b"* BYE too many bad commands")

    def test_a_good_command_does_not_buy_bad_ones(self):
        with self.postern.connect() as client:
            for number in range(BAD_COMMANDS_MAX - 1):
                client.send((b"x\r\n", b"x AUTHENTICATE PLAIN *\r\n", b"x {4+}\r\nNOOP\r\n", b"x NOOP\n")[number % 4])
                self.assertTrue(client.line().startswith(b"x BAD "))
                self.assert_goes_on(client)
            client.starttls(self.postern.trust())
            client.send(b"x\r\n")
            self.assert_ends(client, "bad_commands", b"x BAD ", b"* BYE too many bad commands")

    def test_an_answer_that_is_too_long(self):
        for client in self.connections():
            longest = b"A" * (ANSWER_OCTETS_MAX - 4)
            self.assertTrue(client.dialogue(b"AUTHENTICATE PLAIN", longest + b"\r\n")[1].startswith(b"NO "))
            client.send(b"x AUTHENTICATE PLAIN\r\n")
            self.assertTrue(client.line().startswith(b"+"))
            client.send(b"A" * (ANSWER_OCTETS_MAX - 1) + b"\r\n")
            self.assert_ends(client, "line_too_long", b"* BYE line too long")


class MemoryTest(HostileTest):
    """No allocation grows with what is announced: the worker gets no more memory than it has, and goes on."""

    KIB_MAX = 192  # what malloc may take at once, and the stack may grow

    def memory(self, worker):
        status = worker.status()
        return {name: int(status[name].split()[0]) for name in ("VmPeak", "VmHWM")}

    def check(self, client, converse):
        (worker,) = self.postern.worker("protocolbroker", self.postern.session_of(client))
        before = self.memory(worker)
        with pressure.limited(worker, "as", pressure.address_space_octets(worker) + (self.KIB_MAX << 10)):
            converse(client)
        try:
            after = self.memory(worker)
        except (OSError, KeyError):
            return  # the session is over, and a worker that has ended has no memory
        for name, kib in after.items():
            self.assertLess(kib - before[name], self.KIB_MAX, name)

    def each(self, converse):
        if not ROOT:
            self.skipTest("looks into processes of other users")
        for client in self.connections():
            self.check(client, converse)

    def test_announced_and_waited_for(self):
        def converse(client):
            for number in NUMBERS_TOO_LARGE:
                for command in (b"LOGIN a", b"APPEND INBOX", b"XYZZY", b"ID ("):
                    self.assertTrue(client.command(command + b" {%d}" % number)[1].startswith(b"BAD "))
                    if number > 2**33:
                        return

        self.each(converse)

    def test_announced_and_not_waited_for(self):
        def converse(client):
            client.send(b"x APPEND INBOX {9000000+}\r\n" + b"a" * 100000)
            self.assertTrue(client.line().startswith(b"x BAD "))
            self.assertTrue(client.line().startswith(b"* BYE "))

        self.each(converse)

    def test_swallowed(self):
        """3 MB of it, in pieces."""

        def converse(client):
            for _ in range(50):
                client.send(b"x NOOP {60000+}\r\n")
                for _ in range(60):
                    client.send(b"a" * 1000)
                client.send(b"\r\n")
                self.assertTrue(client.line().startswith(b"x BAD "))

        self.each(converse)

    def test_kept(self):
        """All that a command may hold, a few octets at a time, again and again."""

        def converse(client):
            for _ in range(3):
                client.send(b'x ID ("a" {%d+}\r\n' % LITERAL_OCTETS_MAX)
                for _ in range(14):
                    for _ in range(LITERAL_OCTETS_MAX // 3):
                        client.send(b"aaa")
                    client.send(b' "a" {%d+}\r\n' % LITERAL_OCTETS_MAX)
                client.send(b"a" * LITERAL_OCTETS_MAX + b")\r\n")
                self.assertEqual(client.replies(b"x"), ([b"* ID NIL"], b"OK ID completed"))

        self.each(converse)

    def test_a_line_in_pieces(self):
        def converse(client):
            client.send(b"x NOOP ")
            for _ in range(800):
                client.send(b"a" * 10)
            client.send(b"\r\n")
            self.assertTrue(client.line().startswith(b"x BAD "))
            client.send(b"".join(b"t%d NOOP\r\n" % number for number in range(5000)))
            for number in range(5000):
                self.assertEqual(client.line(), b"t%d OK NOOP completed" % number)

        self.each(converse)


if __name__ == "__main__":
    harness.main()
