"""An IMAP client that sends exactly the octets it is told to, in the segments it is told to. It makes tags only where it is
told none."""

import itertools
import re

import connection

LITERAL = re.compile(rb"\{(\d+)\}$")  # what the octets of a literal follow


def quoted(text):
    return b'"' + text.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


class Client(connection.Connection):
    def __init__(self, *arguments, **named):
        self._tags = (b"t%d" % number for number in itertools.count(1))
        self.greeting = None
        super().__init__(*arguments, **named)

    def response(self):
        """The next line, without its last CRLF; if literals are in it, with them and what follows each."""
        line = self.line()
        while literal := LITERAL.search(line):
            line += b"\r\n" + self.exactly(int(literal[1])) + self.line()
        return line

    def until(self, *beginnings):
        """All responses up to one that begins so: those before it, and it."""
        before = []
        while True:
            response = self.response()
            if response.startswith(beginnings):
                return before, response
            before.append(response)

    def replies(self, tag):
        """What answers the command of that tag: the untagged responses, and the tagged one without the tag; or the
        continuation request ("+ ...") as it is."""
        untagged, last = self.until(tag + b" ", b"+")
        return untagged, last.removeprefix(tag + b" ")

    def command(self, octets):
        """Under a tag of its own."""
        tag = next(self._tags)
        self.send(tag + b" " + octets + b"\r\n")
        return self.replies(tag)

    def ok(self, octets):
        """The untagged responses."""
        untagged, reply = self.command(octets)
        if not reply.startswith(b"OK"):
            raise AssertionError("%r was answered %r, %r" % (octets, untagged, reply))
        return untagged

    def dialogue(self, octets, *answers):
        """A command, and what is sent at each continuation request, its CRLF included. As command()."""
        tag = next(self._tags)
        self.send(tag + b" " + octets + b"\r\n")
        for answer in answers:
            _, reply = self.replies(tag)
            if not reply.startswith(b"+"):
                raise AssertionError("%r was answered %r" % (octets, reply))
            self.send(answer)
        return self.replies(tag)

    def capabilities(self):
        (line,) = [line for line in self.ok(b"CAPABILITY") if line.startswith(b"* CAPABILITY ")]
        return line.decode("ascii").split()[2:]

    def greeted(self):
        self.greeting = self.line()
        if not self.greeting.startswith(b"* OK"):
            raise AssertionError("the greeting was %r" % self.greeting)
        return self

    def starttls(self, context):
        untagged = self.ok(b"STARTTLS")
        if untagged:
            raise AssertionError("beside its answer STARTTLS had %r" % untagged)
        self.handshake(context)
        return self

    def login(self, user, password):
        """The untagged responses."""
        return self.ok(b"LOGIN %s %s" % (quoted(user), quoted(password)))

    def append(self, mailbox, message):
        """With its line ends as they are. The tagged response."""
        return self.dialogue(b"APPEND %s {%d}" % (mailbox, len(message)), message + b"\r\n")[1]
