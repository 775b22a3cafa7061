"""greeting = "preauth": a program that only greets is answered for, whatever it does and whenever it or the client goes."""

import socket
import struct

import harness
import imap
from harness import USER


class PreauthTest(harness.PosternTest):
    def serve(self, script, **settings):
        """Behind the login, a shell script."""
        service = {"greeting": "preauth", "plaintext": "allow", "backend": ["/bin/sh", "-c", script], "environment": None}
        postern = self.start(protocol="imap", service=service, **settings)
        self.ways = (postern.connect, postern.connect_stls, postern.connect_tls)
        return postern

    def log_in(self, client, postern):
        client.send(b"a LOGIN %s %s\r\n" % (USER.encode(), imap.quoted(postern.password)))
        return client.line()

    def test_a_client_that_is_lost_before_the_login(self):
        """With a reset, so that nothing but the end of its tlsworker tells of it."""
        postern = self.serve("exit 1")
        for connect in self.ways:
            for attempts in range(2):
                with self.subTest(connect=connect.__name__, attempts=attempts):
                    client = connect()
                    session = postern.session_of(client)
                    if attempts:
                        client.send(b"a LOGIN %s wrong\r\n" % USER.encode())
                        self.assertTrue(client.line().startswith(b"a NO "))
                    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.sock.close()
                    postern.log.wait("dialogue_end", session=session, why="client_gone")
                    postern.log.wait("close", session=session)

    def test_a_backend_that_outstays_its_client(self):
        """Where we are between the two we know that the client has gone, in clear text too."""
        postern = self.serve("printf '* PREAUTH ready\\r\\n'; exec sleep 1000", limits={"backend_end_seconds": 1})
        for connect in self.ways:
            with self.subTest(connect=connect.__name__), connect() as client:
                session = postern.session_of(client)
                self.assertEqual(self.log_in(client, postern), b"a OK ready")
                client.sock.close()
                postern.log.wait("backend_killed", session=session, why="client_gone")
                postern.log.wait("backend_end", session=session)

    def test_more_than_the_greeting_at_once(self):
        postern = self.serve("printf '* OK first\\r\\n* PREAUTH [X] ready\\r\\n* 3 EXISTS\\r\\nb OK done\\r\\n'; read line")
        for connect in self.ways:
            with self.subTest(connect=connect.__name__), connect() as client:
                client.send(b"a LOGIN %s wrong\r\n" % USER.encode())
                self.assertTrue(client.line().startswith(b"a NO "))
                client.send(b"a LOGIN %s %s\r\nb NOOP\r\n" % (USER.encode(), imap.quoted(postern.password)))
                self.assertEqual(
                    client.rest(), b"* OK first\r\na OK [X] ready\r\n* 3 EXISTS\r\nb OK done\r\n"
                )

    def test_a_greeting_without_an_end(self):
        """What is behind the part that was looked at would come to the client as if it had been said to it."""
        for kind in "PREAUTH", "OK":
            postern = self.serve("printf '* %s '; head -c 9000 /dev/zero | tr '\\0' x; read line" % kind)
            for connect in self.ways:
                with self.subTest(connect=connect.__name__, kind=kind), connect() as client:
                    told = self.log_in(client, postern) + b"\r\n" + client.rest()
                    self.assertEqual(told, b"* BYE the mail server is not available, try again later\r\n")


if __name__ == "__main__":
    harness.main()
