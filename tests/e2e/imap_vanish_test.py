"""IMAP clients that vanish at every point of a dialogue, in the middle of a literal or of a login for example."""

import os
import signal

import dialect
import harness
import vanishing
from harness import USER


class DialogueTest(dialect.Imap, vanishing.Dialogue, harness.PosternTest):
    def script(self, postern):
        user, password = USER.encode(), postern.password.encode()
        yield from ((b"a CAPABILITY\r\n", b"a"), (b"b SELECT {9+}\r\nx LOGOUT\n\r\n", b"b"), (b"c STARTTLS\r\n", b"c"))
        yield None, None
        yield from ((b"d AUTHENTICATE PLAIN\r\n", b"+"), (b"*\r\n", b"d"), (b"e AUTHENTICATE LOGIN eA==\r\n", b"+"), (b"*\r\n", b"e"))
        yield from ((b"f LOGIN {%d}\r\n" % len(user), b"+"), (user + b" {%d}\r\n" % len(password), b"+"), (password + b"\r\n", b"f"))
        yield from ((b"g SELECT INBOX\r\n", b"g"), (b"h STORE 1 +FLAGS (\\Deleted)\r\n", b"h"), (b"i APPEND INBOX {20}\r\n", b"+"))


class PreauthTest(DialogueTest):
    """The tlsworker stands still while the broker waits for the program's greeting."""

    SERVICE = {"greeting": "preauth"}


class RelayTest(DialogueTest):
    """The broker stays between the two."""

    SERVICE = {"greeting": "preauth", "plaintext": "allow"}

    def script(self, postern):
        for said, answer in super().script(postern):
            if said is not None and b"STARTTLS" not in said:
                yield said, answer


class KilledTest(dialect.Imap, harness.PosternTest):
    def test_a_client_vanishes_with_its_tlsworker(self):
        """The broker notices, though it may have a copy of the worker's end of their stream."""
        for greeting in ("tag", "preauth"):
            postern = self.start(service={"greeting": greeting}, limits={"login_seconds": 120})
            for said in (b"", b"x NOOP", b"x LOGIN {9+}\r\nhalf", b"x LOGIN {9}\r\n", b"x NOOP {9999+}\r\nhalf"):
                client = postern.connect_tls()
                client.send(said)
                session = postern.session_of(client)
                (worker,) = postern.worker("tlsworker", session)
                os.kill(worker.pid, signal.SIGKILL)
                postern.log.wait("close", session=session)
                client.sock.close()


if __name__ == "__main__":
    harness.main()
