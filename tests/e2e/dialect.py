"""What a test that is the same in each protocol says in one of them: bases beside the test's own."""

import imap


class Pop3:
    PROTOCOL = "pop3"
    STARTTLS, CAPABILITY, QUIT = b"STLS", b"CAPA", b"QUIT"
    INSIDE = b"STAT"  # for those who have logged in
    OK, REFUSED = b"+OK", b"-ERR"  # begins the reply to raw()
    CAPABILITIES_END = b"\r\n.\r\n"
    BEFORE_STARTTLS = (b"NOOP", b"USER demo", b"PASS x", b"XYZZY plugh", b"", b"STLS now", b"STLS ", b" STLS", b"AUTH")
    DRIPS = ((b"USER demo\r\n", b"PASS it takes its time"),)  # of a login: said at once, and octet by octet
    NO_LINES = (b"STLS\n", b"STLS\0\r\n", b"STLS\rCAPA\r\n", b"CAPA\n", b"\x01\r\n", b"CAPA\0\r\n", b"\r\r\n")

    @staticmethod
    def raw(command):
        """The octets of a command."""
        return command + b"\r\n"

    @staticmethod
    def raw_login(user, password):
        return b"USER %s\r\nPASS %s\r\n" % (user.encode(), password.encode())

    @staticmethod
    def reply(client):
        """The reply to raw(), or what refuses a line that is none."""
        return client.line()

    @staticmethod
    def take_capabilities(client):
        """The reply to raw(CAPABILITY)."""
        return client.line(), client.lines()

    @classmethod
    def conversation(cls, user, password):
        """A session inside TLS: what is said, and how the answer to it ends."""
        for command in (b"USER " + user.encode(), b"PASS " + password.encode(), b"STAT"):
            yield cls.raw(command), b"\r\n"

    @staticmethod
    def take_messages(client):
        """All of the mailbox, of a client that has logged in."""
        for number in range(1, 1 + int(client.ok(b"STAT").split()[1])):
            client.ok(b"RETR %d" % number)
            yield b"".join(line.removeprefix(b".") + b"\n" for line in client.lines())

    def assert_refused(self, line):
        self.assertTrue(line.startswith(b"-ERR"), line)

    def assert_nothing_obeyed(self, said):
        self.assertNotIn(b"+OK", said)


class Imap:
    PROTOCOL = "imap"
    STARTTLS, CAPABILITY, QUIT = b"STARTTLS", b"CAPABILITY", b"LOGOUT"
    INSIDE = b"STATUS INBOX (MESSAGES)"
    OK, REFUSED = b"x OK", b"x BAD"
    CAPABILITIES_END = b"x OK CAPABILITY completed\r\n"
    BEFORE_STARTTLS = (
        *(b"NOOP", b'ID ("name" "x")', b"LOGIN demo x", b"LOGIN {4}", b"AUTHENTICATE PLAIN", b"XYZZY plugh", b""),
        *(b"STARTTLS now", b"STARTTLS ", b" STARTTLS", b"STARTTLS {3}", b"SELECT INBOX"),
    )
    DRIPS = (
        (b"", b'x LOGIN demo "it takes its time'),
        (b"x LOGIN demo {400}\r\n", b"it takes its time"),
        (b"x APPEND INBOX {60000+}\r\n", b"it takes its time"),
        (b"x AUTHENTICATE PLAIN\r\n", b"AHRpbWUAdGltZQ"),
    )
    NO_LINES = (
        *(b"x STARTTLS\n", b"x STARTTLS\0\r\n", b"x STARTTLS\rx CAPABILITY\r\n", b"x CAPABILITY\n", b"\x01\r\n"),
        *(b"x\0STARTTLS\r\n", b"x STARTTLS\t\r\n", b"\r\r\n", b"\rx STARTTLS\r\n", b"\xffx STARTTLS\r\n"),
    )

    @staticmethod
    def raw(command):
        return b"x " + command + b"\r\n"

    @classmethod
    def raw_login(cls, user, password):
        return cls.raw(b"LOGIN %s %s" % (imap.quoted(user), imap.quoted(password)))

    @staticmethod
    def reply(client):
        return client.until(b"x ", b"* BAD ")[1]

    @staticmethod
    def take_capabilities(client):
        return client.replies(b"x")

    @classmethod
    def conversation(cls, user, password):
        literals = len(user), user.encode(), len(password), password.encode()
        yield b"x LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % literals, b"x OK LOGIN Ok.\r\n"
        yield cls.raw(b"NOOP"), b"x OK NOOP completed\r\n"

    @staticmethod
    def take_messages(client):
        client.ok(b"SELECT INBOX")
        for fetched in client.ok(b"FETCH 1:* BODY.PEEK[]"):
            literal = fetched.partition(b"}\r\n")[2].removesuffix(b")")
            yield literal.replace(b"\r\n", b"\n")

    def assert_refused(self, line):
        self.assertIn(b" BAD ", line[:70])

    def assert_nothing_obeyed(self, said):
        self.assertNotIn(b" OK ", said)
