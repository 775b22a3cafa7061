"""What is between a client and its server after a login by checkpassword, as /proc shows it: with TLS one process, that
client's tlsworker; without TLS nothing."""

import re
import subprocess
import unittest

import harness
from harness import USER, eventually

# As Dovecot's imap without IMAPLOGINTAG.
PREAUTH = "printf '* PREAUTH ready\\r\\n'; while read -r tag command; do printf '%s OK done\\r\\n' \"$tag\"; done"
SOCKET = re.compile(r"socket:\[(\d+)\]")


def sockets(process):
    """{descriptor: inode}"""
    found = {fd: SOCKET.fullmatch(name) for fd, name in process.descriptors().items()}
    return {fd: int(match[1]) for fd, match in found.items() if match}


def inode_of_connection(client):
    """Of the server's end."""
    server, peer = (":%04X" % address[1] for address in (client.sock.getpeername(), client.local))
    with open("/proc/net/tcp", encoding="ascii") as lines:
        for fields in (line.split() for line in list(lines)[1:]):
            if fields[1].endswith(server) and fields[2].endswith(peer):
                return int(fields[9])
    raise AssertionError("the kernel knows no such connection")


def other_end(inode, process):
    """Of a Unix socket that was made in the network namespace of this process."""
    command = ["nsenter", "--net=/proc/%d/ns/net" % process.pid, "ss", "--no-header", "--unix", "--all"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    ends = {int(fields[5]): int(fields[7]) for fields in map(str.split, lines)}
    return ends[inode]


@unittest.skipUnless(harness.ROOT, "only root sees the descriptors of all")
class PathTest(harness.PosternTest):
    def enter(self, protocol, connect, **service):
        """Logged in; the postern, the client and its backend."""
        postern = self.start(protocol=protocol, service={"plaintext": "allow", **service})
        self.before = {process.pid for process in self.ours(postern)}
        client = getattr(postern, connect)()
        client.login(USER, postern.password)
        client.ok(b"NOOP")
        (backend,) = postern.processes(lambda process: process.title().endswith(" Maildir"))
        return postern, client, backend

    def ours(self, postern):
        """Processes of our programs, whatever they serve."""
        return postern.processes(lambda process: process.program().startswith(postern.path("stage/")))

    def of_session(self, postern, number):
        """Those of our processes that were not there before it, once there are so many."""
        new = lambda: [process for process in self.ours(postern) if process.pid not in self.before]
        eventually(lambda: len(new()) == number, new)
        return new()

    def holders(self, postern, inode):
        """All processes that have this socket."""
        return {process.pid for process in postern.processes() if inode in sockets(process).values()}

    def test_inside_tls(self):
        preauth = {"greeting": "preauth", "backend": ["/bin/sh", "-c", PREAUTH, "sh", "Maildir"]}
        for protocol, service in ("pop3", {}), ("imap", {}), ("imap", preauth):
            for connect in "connect_stls", "connect_tls":
                with self.subTest(protocol=protocol, connect=connect):
                    postern, client, backend = self.enter(protocol, connect, **service)
                    (worker,) = self.of_session(postern, 1)
                    self.assertEqual(worker.title(), "tlsworker: session %08x" % postern.session_of(client))
                    self.assertEqual(self.holders(postern, inode_of_connection(client)), {worker.pid})

                    plain = sockets(backend)[0]
                    self.assertEqual(sockets(backend)[1], plain)
                    self.assertEqual(self.holders(postern, plain), {backend.pid})
                    (broker,) = postern.role("protocolbroker")  # where the pair was made
                    self.assertEqual(self.holders(postern, other_end(plain, broker)), {worker.pid})
                    client.sock.close()

    def test_in_clear_text(self):
        for protocol in "pop3", "imap":
            with self.subTest(protocol=protocol):
                postern, client, backend = self.enter(protocol, "connect")
                self.assertEqual(self.of_session(postern, 0), [])
                connection = inode_of_connection(client)
                self.assertEqual([sockets(backend).get(fd) for fd in (0, 1)], [connection, connection])
                self.assertEqual(self.holders(postern, connection), {backend.pid})
                client.sock.close()


if __name__ == "__main__":
    harness.main()
