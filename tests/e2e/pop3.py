"""A POP3 client that sends exactly the octets it is told to, in the segments it is told to."""

import connection
from connection import BROKEN, Engine, verifying  # what tests of POP3 know by these names


class Client(connection.Connection):
    def lines(self):
        """What follows the first line of a multi-line reply."""
        lines = []
        while True:
            line = self.line()
            if line == b".":
                return lines
            lines.append(line)

    def command(self, octets):
        """The first line of the reply."""
        self.send(octets + b"\r\n")
        return self.line()

    def ok(self, octets):
        reply = self.command(octets)
        if not reply.startswith(b"+OK"):
            raise AssertionError("%r was answered %r" % (octets, reply))
        return reply

    def capabilities(self):
        self.ok(b"CAPA")
        return [line.decode("ascii") for line in self.lines()]

    def greeted(self):
        line = self.line()
        if not line.startswith(b"+OK"):
            raise AssertionError("the greeting was %r" % line)
        return self

    def stls(self, context):
        self.ok(b"STLS")
        self.handshake(context)
        return self

    starttls = stls  # what tests of more than one protocol call it

    def login(self, user, password):
        self.ok(b"USER " + user.encode())
        return self.ok(b"PASS " + password.encode())
