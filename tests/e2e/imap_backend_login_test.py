"""login = "backend" with IMAP: backends that do the login dialogue themselves, started or reached over a socket."""

import threading
import time
import unittest

import harness
import imap
import listener
from harness import ROOT, USER, eventually

GONE = b"* BYE the mail server is not available, try again later\r\n"
PASSWORD = "by-the-backend"


class BackendTest(harness.PosternTest):
    PROTOCOL = "imap"

    def start_login(self, limits=None, **service):
        settings = {"login": "backend", "checkpassword": None, "capabilities": ["IMAP4rev1"], "plaintext": "allow"}
        return self.start(service={**settings, "environment": None, **service}, limits=limits or {})

    def start_script(self, script, **settings):
        return self.start_login(backend=["/bin/sh", "-c", script], **settings)

    def start_connected(self, header=0, greeting=b"* OK elsewhere\r\n", **settings):
        """Before a server on a socket."""
        port = self.installation.slot.port()
        self.server = listener.Listener(("127.0.0.1", port), header, greeting, listener.imap)
        self.addCleanup(self.server.close)
        return self.start_login(backend=None, connect="127.0.0.1:%d" % port, **settings)


class ConnectTest(BackendTest):
    def check_session(self, client):
        self.assertEqual(client.command(b"NOOP"), ([], b"OK you said NOOP"))
        self.assertEqual(client.command(b"LOGOUT"), ([b"* BYE bye"], b"OK you said LOGOUT"))
        self.assert_closed(client)

    def test_after_starttls_the_client_has_had_its_greeting(self):
        postern = self.start_connected()
        with postern.connect_stls() as client:
            self.assertEqual(client.command(b"CAPABILITY"), ([], b"OK you said CAPABILITY"))
            session = postern.session_of(client)
            eventually(lambda: not postern.worker("protocolbroker", session), "the broker's end")
            self.check_session(client)
        postern.log.wait("connected", session=session)
        postern.log.wait("close", session=session)

    def test_with_implicit_tls_the_greeting_is_the_backends(self):
        postern = self.start_connected(header=2, proxy_protocol="v2")
        with postern.connect_tls() as client:
            self.assertEqual(client.greeting, b"* OK elsewhere")
            self.check_session(client)
        self.assertIn(b"TLSv1.3", self.server.headers[0])

    def test_in_clear_text_it_is_asked_at_the_login(self):
        postern = self.start_connected(header=1, proxy_protocol="v1")
        for command in (b"LOGIN demo demo", b"LOGIN", b"AUTHENTICATE X", b"authenticate plain ="):
            with self.subTest(command=command), postern.connect() as client:
                capabilities = client.capabilities()
                self.assertEqual(capabilities, ["IMAP4rev1", "STARTTLS"])  # how to log in is for the backend to say
                self.assertEqual(client.command(b"SELECT INBOX")[1][:4], b"BAD ")
                headers = len(self.server.headers)
                self.assertEqual(client.command(command), ([], b"OK you said " + command))
                self.assertEqual(len(self.server.headers), headers + 1)
                # From now on it is asked everything.
                self.assertEqual(client.command(b"STARTTLS"), ([], b"OK you said STARTTLS"))
                self.check_session(client)
                postern.log.wait("dialogue_end", session=postern.session_of(client), why="backend_closed")

    def test_octets_pass_unchanged(self):
        postern = self.start_connected()
        odd = bytes(range(256)).replace(b"\n", b"") + b"\r\r" + b"x" * 20000
        for connect in (postern.connect, postern.connect_stls, postern.connect_tls):
            with self.subTest(connect=connect.__name__), connect() as client:
                client.send(b"a LOGIN x y\r\nb " + odd + b"\r\nc NOOP\r\n")
                self.assertEqual(client.line(), b"a OK you said LOGIN x y")
                self.assertEqual(client.exactly(14 + len(odd) + 2), b"b OK you said " + odd + b"\r\n")
                self.assertEqual(client.line(), b"c OK you said NOOP")

    def test_nobody_listens(self):
        postern = self.start_login(backend=None, connect="127.0.0.1:%d" % self.installation.slot.port())
        self.check_refused(postern, GONE, implicit=GONE)

    def check_refused(self, postern, said, implicit):
        with postern.connect_stls() as client:
            self.assertEqual(client.rest(), said)
        with imap.Client(postern.imaps, tls=postern.trust()) as client:
            self.assertEqual(client.rest(), implicit)
        with postern.connect() as client:
            client.send(b"a LOGIN x y\r\n")
            self.assertEqual(client.rest(), said)
            postern.log.wait("dialogue_end", session=postern.session_of(client), why="backend")

    def test_greetings_that_are_none(self):
        """Least of all one that says that somebody has logged in."""
        for script, said in (
            ("printf '* BYE too many\\r\\n'", b"* BYE too many\r\n"),
            ("printf '* PREAUTH welcome\\r\\n'; exec sleep 1000", GONE),
            ("printf '+OK POP3\\r\\n'; exec sleep 1000", GONE),
            ("exit 0", GONE),
        ):
            with self.subTest(script=script):
                postern = self.start_script(script, limits={"backend_end_seconds": 1})
                with postern.connect_stls() as client:
                    self.assertEqual(client.rest(), said)
                with postern.connect() as client:
                    client.send(b"a LOGIN x y\r\n")
                    self.assertEqual(client.rest(), said)
                postern.log.wait("backend_end", count=2)

    def test_no_backend_for_a_client_that_only_looks(self):
        postern = self.start_connected(header=1, proxy_protocol="v1")
        for connect in (postern.connect, lambda: imap.Client(postern.imaps)):
            with connect():
                pass
        with postern.connect() as client:
            client.capabilities()
            client.ok(b"STARTTLS")
        postern.log.wait("close", count=3)
        self.assertEqual(postern.log.find("connected"), [])
        self.assertEqual(self.server.headers, [])


class StartedTest(BackendTest):
    GREET = "printf '* OK ready\\r\\n'; read line; "

    def test_what_it_is_started_with(self):
        postern = self.start_script(self.GREET + "printf 'a %s\\r\\n' \"OK $IMAP_TLS,$IMAPLOGINTAG,$HOME,$TCPREMOTEIP,$SSL_PROTOCOL\"")
        for connect, told in (
            (postern.connect, b",,,127.0.0.3,"),
            (postern.connect_stls, b"1,,,127.0.0.3,TLSv1.3"),
            (postern.connect_tls, b"1,,,127.0.0.3,TLSv1.3"),
        ):
            with self.subTest(connect=connect.__name__), connect(source="127.0.0.3") as client:
                client.send(b"a LOGIN x y\r\n")
                self.assertEqual(client.line(), b"a OK " + told)
                self.assert_closed(client)

    @unittest.skipUnless(ROOT, "only root can look")
    def test_the_password_is_forgotten_once_the_backend_has_it(self):
        postern = self.start_script(self.GREET + "printf 'a OK in\\r\\n'; read line; printf 'b OK\\r\\n'; read line")
        postern.secrets.append(PASSWORD)
        with postern.connect() as client:
            client.send(b"a LOGIN %s %s\r\n" % (USER.encode(), PASSWORD.encode()))
            self.assertEqual(client.line(), b"a OK in")
            client.send(b"b NOOP\r\n")
            self.assertEqual(client.line(), b"b OK")
            (worker,) = postern.worker("protocolbroker", postern.session_of(client))
            self.assertTrue(worker.remembers(b"protocolbroker: session"))  # so it can be seen
            self.assertFalse(worker.remembers(PASSWORD.encode()))

    @unittest.skipUnless(ROOT, "only root can look")
    def test_a_password_that_the_backend_asks_for_is_forgotten_too(self):
        postern = self.start_script(self.GREET + "printf '+ go on\\r\\n'; read line; printf 'a OK in\\r\\n'; read line")
        postern.secrets.append(PASSWORD)
        with postern.connect() as client:
            client.send(b"a LOGIN %s {%d}\r\n" % (USER.encode(), len(PASSWORD)))
            self.assertEqual(client.line(), b"+ go on")
            client.send(PASSWORD.encode() + b"\r\n")
            self.assertEqual(client.line(), b"a OK in")
            (worker,) = postern.worker("protocolbroker", postern.session_of(client))
            self.assertTrue(worker.remembers(b"protocolbroker: session"))
            self.assertFalse(worker.remembers(PASSWORD.encode()))

    def test_a_client_that_vanishes_ends_it(self):
        postern = self.start_script(self.GREET + "printf 'a OK in\\r\\n'; read line")
        for connect in (postern.connect, postern.connect_stls, postern.connect_tls):
            with self.subTest(connect=connect.__name__), connect() as client:
                client.send(b"a LOGIN x y\r\n")
                self.assertEqual(client.line(), b"a OK in")
                session = postern.session_of(client)
                client.sock.close()
                postern.log.wait("backend_end", session=session)
                postern.log.wait("close", session=session)


class LoginTimeTest(BackendTest):
    """In clear text, where postern sees it: the time for the login ends with the login, and with nothing else."""

    SECONDS = 3

    def talk(self, postern, octets, answer):
        """How long a session lasts that began so, if it does not last twice as long as a login may."""
        with postern.connect(seconds=2 * self.SECONDS) as client:
            started = time.monotonic()
            client.send(octets)
            self.assertEqual(client.line(), answer)
            try:
                client.rest()
            except TimeoutError:
                return None
            return time.monotonic() - started

    def test_the_time_for_the_login(self):
        script = "printf '* OK ready\\r\\n'; while read tag verb rest; do printf '%s OK\\r\\n' $tag; done"
        refuses = "printf '* OK ready\\r\\n'; while read tag verb rest; do printf '%s NO\\r\\n' $tag; done"
        limits = {"login_seconds": self.SECONDS, "handshake_seconds": 1}
        lasted = {}

        def try_it(name, postern, octets, answer):
            lasted[name] = self.talk(postern, octets, answer)

        accepting, refusing = self.start_script(script, limits=limits), self.start_script(refuses, limits=limits)
        threads = [
            threading.Thread(target=try_it, args=arguments)
            for arguments in (
                ("logged in", accepting, b"a LOGIN x y\r\n", b"a OK"),
                ("refused", refusing, b"a LOGIN x y\r\n", b"a NO"),
                ("another command", refusing, b"a LOGIN x y\r\nb NOOP\r\n", b"a NO"),
            )
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertIsNone(lasted["logged in"])
        for name in ("refused", "another command"):
            self.assertTrue(self.SECONDS - 1 < lasted[name] < 2 * self.SECONDS, lasted)
        refusing.log.wait("dialogue_end", count=2, why="login_time")


if __name__ == "__main__":
    harness.main()
