"""IDLE (RFC 2177): sessions in which nothing happens for hours, until a message comes."""

import concurrent.futures
import os
import signal
import socket
import struct

import harness
from harness import MESSAGES, eventually

SESSIONS = 200
# A backend that ends by itself, when the file `end` is there.
ENDING = r"""printf '%s OK in\r\n' "$IMAPLOGINTAG"; read -r tag command; printf '+ idling\r\n'
while ! rm end 2>&-; do sleep 0.05; done; printf '* BYE enough\r\n'"""


class ImapTest(harness.PosternTest):
    def idle(self, client):
        client.send(b"idle IDLE\r\n")
        untagged, reply = client.replies(b"idle")
        self.assertTrue(reply.startswith(b"+"), (untagged, reply))


class ManyTest(ImapTest):
    """Each session with a mailbox of its own: gamin's gam_server, which tells imapd of new mail at once, forgets some where many
    sessions watch one."""

    def setUp(self):
        super().setUp()
        environment = harness.courier_service("imap", self.installation.path("courier"))["environment"]
        service = {"environment": {**environment, "IMAP_ENHANCEDIDLE": "1"}}
        self.postern = self.start(protocol="imap", service=service, limits={"sessions": SESSIONS, "leftover_seconds": 1})
        self.homes = [self.postern.path("home-%d" % number) for number in range(SESSIONS)]
        self.make_mailboxes()
        self.clients = [self.enter(0)]  # this one starts gam_server, before many do so at once
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.clients += pool.map(self.enter, range(1, SESSIONS))

    def make_mailboxes(self):
        with open(self.postern.path("passwd"), "r+", encoding="utf-8") as passwd:
            fields = passwd.read().rstrip("\n").split(":")
            for number, home in enumerate(self.homes):
                harness.make_maildir(home, self.postern.mail_uid, MESSAGES[:1])
                passwd.write(":".join(["user-%d" % number, *fields[1:-1], home]) + "\n")

    def tearDown(self):
        for client in self.clients:
            client.sock.close()

    def enter(self, number):
        client = self.postern.connect_stls() if number % 2 else self.postern.connect_tls()
        client.login("user-%d" % number, self.postern.password)
        client.ok(b"SELECT INBOX")
        self.idle(client)
        return client

    def log_out(self, client):
        client.send(b"DONE\r\n")
        _, reply = client.replies(b"idle")
        self.assertTrue(reply.startswith(b"OK"), reply)
        client.ok(b"LOGOUT")
        self.assertEqual(client.sock.recv(1), b"")  # not SSLEOFError: the end is the server's word
        client.sock.close()

    def vanish(self, client):
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()

    def test_every_session_is_told_of_every_message(self):
        for number in range(2, 5):
            for home in self.homes:
                self.postern.deliver("18000000%02d.1.localhost" % number, home)
            for client in self.clients:
                client.until(b"* %d EXISTS" % number)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(self.log_out, self.clients[: SESSIONS // 2]))
            list(pool.map(self.vanish, self.clients[SESSIONS // 2 :]))
        self.postern.log.wait("close", count=SESSIONS)
        self.postern.log.wait("backend_end", count=SESSIONS)
        eventually(lambda: not self.postern.workers(), lambda: self.postern.workers())
        # imapd's helper, which its sessions share, ends with the last of them.
        backends = lambda: self.postern.processes(lambda process: process.uids() == {self.postern.mail_uid})
        if harness.ROOT:
            eventually(lambda: not backends(), backends)
        self.assertTrue(self.postern.serves(20))


class EndingTest(ImapTest):
    """The backend ends first."""

    def check_ends(self, postern, end, last=b""):
        """`end` ends the one backend; in TLS, its end is close_notify, in clear text a FIN."""
        for connect in postern.connect_stls, postern.connect_tls, postern.connect:
            with self.subTest(connect.__name__), connect() as client:
                client.login(harness.USER, postern.password)
                self.idle(client)
                session = postern.session_of(client)
                end()
                text = b""
                while octets := client.sock.recv(4096):  # neither a reset nor SSLEOFError
                    text += octets
                self.assertEqual(text, last)
                client.sock.close()
                postern.log.wait("backend_end", session=session)
                postern.log.wait("close", session=session)

    def check_killed(self, number, last=b""):
        postern = self.start(protocol="imap", service={"plaintext": "allow"})

        def end():
            (imapd,) = postern.processes(lambda process: process.title().endswith("/imapd Maildir"))
            os.kill(imapd.pid, number)

        self.check_ends(postern, end, last)

    def test_killed_in_idle(self):
        self.check_killed(signal.SIGKILL)

    def test_told_to_end_in_idle(self):
        self.check_killed(signal.SIGTERM, b"* BYE Courier-IMAP server shut down by signal.\r\n")

    def test_ends_by_itself(self):
        postern = self.start(protocol="imap", service={"plaintext": "allow", "backend": ["/bin/sh", "-c", ENDING]})

        def end():
            postern.write("home/end", "")

        self.check_ends(postern, end, b"* BYE enough\r\n")


if __name__ == "__main__":
    harness.main()
