"""login = "backend": backends that do the login dialogue themselves, started or reached over a socket."""

import os
import socket
import struct
import unittest

import harness
import pop3
from harness import ROOT, eventually
from listener import Listener

PASSWORD = "by-the-backend"


class SelfLoginTest(harness.PosternTest):
    def start_backend(self, *arguments, limits=None, **service):
        settings = {"login": "backend", "checkpassword": None, "capabilities": None}
        settings.update(self.installation.backend("selflogin", PASSWORD, *arguments))
        settings.update(service)
        return self.start(service=settings, limits=limits or {})


class InsideTlsTest(SelfLoginTest):
    def test_after_stls_the_client_has_had_its_greeting(self):
        postern = self.start_backend()
        with postern.connect() as client:
            self.assertEqual(client.capabilities(), ["STLS"])
            self.assert_err(client.command(b"USER x"))
            client.stls(postern.trust())
            self.assertEqual(client.command(b"USER x"), b"+OK")  # no second greeting: this answers USER
            self.assertEqual(client.command(b"PASS " + PASSWORD.encode()), b"+OK welcome x")
            client.ok(b"STAT")
            session = postern.session_of(client)
            # Nothing of ours but the tlsworker is left between the two.
            eventually(lambda: not postern.worker("protocolbroker", session), "the broker's end")
            self.assertEqual(client.command(b"QUIT"), b"+OK bye from the backend")
            self.assert_closed(client)
            postern.log.wait("backend", session=session)
            postern.log.wait("backend_end", session=session, status=0)
            postern.log.wait("close", session=session)

    def test_with_implicit_tls_the_greeting_is_the_backends(self):
        postern = self.start_backend()
        with pop3.Client(postern.pop3s, tls=postern.trust()) as client:
            self.assertRegex(client.line(), rb"^\+OK selflogin <\d+@localhost>$")
            client.login("x", PASSWORD)
            self.assertEqual(client.command(b"CAPA"), b"-ERR what is CAPA")  # nobody is in between

    def test_what_it_is_started_with(self):
        postern = self.start_backend(environment={"FROM_THE_CONFIGURATION": "yes"})
        for client in (postern.connect_stls(source="127.0.0.3"), postern.connect_tls(source="127.0.0.3")):
            with client:
                address, port = client.sock.getsockname()[:2]
                for name, value in (
                    ("TCPREMOTEIP", address), ("TCPREMOTEPORT", str(port)), ("SSL_PROTOCOL", "TLSv1.3"),
                    ("SSL_TLS_SNI_SERVERNAME", "localhost"), ("POP3_TLS", "1"), ("FROM_THE_CONFIGURATION", "yes"),
                    ("HOME", "(none)"), ("USER", "(none)"),
                ):  # fmt: skip
                    self.assertEqual(client.command(b"XENV " + name.encode()), b"+OK " + value.encode())

    @unittest.skipUnless(ROOT, "only root can choose")
    def test_user_and_groups(self):
        for user, groups, want in ((None, None, b"+OK 0 0 "), ("nobody", ["mail", "4711"], b"+OK 65534 65534 8,4711")):
            postern = self.start_backend(user=user, groups=groups)
            with postern.connect_tls() as client:
                self.assertEqual(client.command(b"XID"), want)

    @unittest.skipUnless(ROOT, "needs root to become somebody else")
    def test_started_by_an_ordinary_user(self):
        settings = {"login": "backend", "checkpassword": None, "capabilities": None}
        settings.update(self.installation.backend("selflogin", PASSWORD))
        postern = self.start(service=settings, ordinary=True)
        with postern.connect_stls() as client:
            self.assertTrue(client.command(b"XID").startswith(b"+OK %d %d" % (postern.uid, postern.uid)))
            client.login("x", PASSWORD)
        for key, value in (("user", "root"), ("groups", ["mail"])):
            settings = {**settings, "user": None, "groups": None, key: value}
            status, said = self.prepare(service=settings, ordinary=True).check()
            self.assertEqual(status, 100)
            self.assertIn("only root can", said)

    @unittest.skipUnless(ROOT, "roles have users of their own")
    def test_a_user_who_is_a_roles(self):
        postern = self.prepare()
        postern.settings["service.pop3"]["user"] = str(postern.role_uids[2])
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        status, said = postern.check()
        self.assertEqual(status, 100)
        self.assertIn("is who tlsworker runs as", said)

    def test_a_user_or_group_that_does_not_exist(self):
        postern = self.prepare(service={"user": "no-such-user", "groups": ["no-such-group"]})
        status, said = postern.check()
        self.assertEqual(status, 100)
        self.assertIn('user: there is no user "no-such-user"', said)
        self.assertIn('groups: there is no group "no-such-group"', said)

    def test_a_user_or_group_that_would_change_nothing(self):
        for number in ("4294967295", "-1"):
            postern = self.prepare(service={"user": number, "groups": [number]})
            status, said = postern.check()
            self.assertEqual(status, 100)
            self.assertIn("user: ", said)
            self.assertIn("groups: ", said)

    def test_a_greeting_that_refuses_is_passed_on(self):
        postern = self.start_backend("-ERR the mailbox store is away")
        with postern.connect_stls() as client:
            self.assertEqual(client.rest(), b"-ERR the mailbox store is away\r\n")
        with pop3.Client(postern.pop3s, tls=postern.trust()) as client:
            self.assertEqual(client.rest(), b"-ERR the mailbox store is away\r\n")
        postern.log.wait("dialogue_end", why="backend")

    def test_a_backend_that_cannot_be_started(self):
        postern = self.prepare()
        program = postern.write("no-interpreter", "#!/nonexistent/interpreter\n", 0o755)
        settings = postern.settings["service.pop3"]
        settings.update({"login": "backend", "checkpassword": None, "capabilities": None, "backend": [program], "environment": None})
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        self.addCleanup(self.end, postern)
        postern.start()
        for port, stls in ((postern.pop3, True), (postern.pop3s, False)):
            with pop3.Client(port, tls=None if stls else postern.trust()) as client:
                if stls:
                    client.greeted().stls(postern.trust())
                self.assertEqual(client.rest(), b"-ERR the mail server is not available, try again later\r\n")
        postern.log.wait("exec_failed", count=2)

    def test_a_backend_that_says_nothing(self):
        for script in ("exec sleep 1000", "exit 0", "echo 'hello'; exec sleep 1000"):
            with self.subTest(script=script):
                service = {"login": "backend", "checkpassword": None, "capabilities": None, "environment": None}
                postern = self.start(
                    service={**service, "backend": ["/bin/sh", "-c", script]},
                    limits={"login_seconds": 2, "handshake_seconds": 1, "backend_end_seconds": 1},
                )
                with postern.connect_stls() as client:
                    self.assertEqual(client.rest(), b"-ERR the mail server is not available, try again later\r\n")
                postern.log.wait("backend_end")  # it has been left nothing to wait for
                postern.log.wait("close")

    def test_no_backend_for_a_client_that_only_looks(self):
        postern = self.start_backend()
        for client in (postern.connect(), pop3.Client(postern.pop3s)):
            with client:
                pass
        with postern.connect() as client:
            client.ok(b"STLS")
        postern.log.wait("close", count=3)
        self.assertEqual(postern.log.find("backend"), [])


class RelayedTest(SelfLoginTest):
    """With `capabilities` postern stays in between inside TLS too, and answers CAPA there."""

    def test_inside_tls(self):
        postern = self.start_backend(capabilities=["TOP"])
        for client in (postern.connect_stls(), postern.connect_tls()):
            with client:
                self.assertEqual(client.capabilities(), ["TOP", "USER"])
                self.assert_err(client.command(b"STLS"))
                client.ok(b"USER x")
                self.assertEqual(postern.log.find("backend", session=postern.session_of(client)), [])  # not before PASS
                client.send(b"PASS %s\r\nCAPA\r\nXENV SSL_PROTOCOL\r\nQUIT\r\n" % PASSWORD.encode())
                self.assertEqual(client.line(), b"+OK welcome x")
                self.assert_ok(client.line())
                self.assertEqual(client.lines(), [b"TOP", b"USER"])
                self.assertEqual(client.line(), b"+OK TLSv1.3")
                self.assertEqual(client.line(), b"+OK bye from the backend")
                self.assert_closed(client)
                postern.log.wait("dialogue_end", session=postern.session_of(client), why="backend_closed")

    def test_a_client_that_vanishes_ends_it(self):
        postern = self.start_backend(capabilities=["TOP"])
        for line in (b"STAT", b"XHANG"):  # while nothing is under way, and while the backend owes an answer
            with postern.connect_stls() as client:
                client.login("x", PASSWORD)
                client.send(line + b"\r\n")
                session = postern.session_of(client)
            postern.log.wait("dialogue_end", session=session, why="client_gone")
            postern.log.wait("tls_end", session=session)

    def test_with_connect(self):
        listener = Listener(("127.0.0.1", self.installation.slot.port()), 2)
        self.addCleanup(listener.close)
        settings = {"backend": None, "environment": None, "connect": "127.0.0.1:%d" % listener.sock.getsockname()[1]}
        postern = self.start_backend(capabilities=["TOP"], proxy_protocol="v2", **settings)
        with postern.connect_stls() as client:
            client.login("x", PASSWORD)
            self.assertEqual(client.command(b"STAT"), b"+OK you said STAT")
            self.assertEqual(client.capabilities(), ["TOP", "USER"])
        self.assertIn(b"TLSv1.3", listener.headers[0])


    def test_a_backend_that_ends_after_its_greeting(self):
        for script, said in (
            ("printf '+OK\\r\\n'", b"-ERR the mail server is not available, try again later\r\n"),
            ("printf '+OK\\r\\n-ERR going down\\r\\n'", b"-ERR going down\r\n"),
        ):
            postern = self.start_backend(capabilities=["TOP"], environment=None, backend=["/bin/sh", "-c", script])
            with postern.connect_stls() as client:
                client.ok(b"USER x")
                client.send(b"PASS y\r\n")
                self.assertEqual(client.rest(), said)
                postern.log.wait("dialogue_end", session=postern.session_of(client), why="backend")


class ClearTextTest(SelfLoginTest):
    CAPABILITIES = ["TOP", "X-TEST"]

    def setUp(self):
        super().setUp()
        self.postern = self.start_backend(plaintext="allow", capabilities=self.CAPABILITIES)

    def test_capa_stls_and_login(self):
        with self.postern.connect() as client:
            self.assertEqual(client.capabilities(), [*self.CAPABILITIES, "USER", "STLS"])
            client.login("x", PASSWORD)
            self.assertEqual(client.capabilities(), [*self.CAPABILITIES, "USER"])
            self.assert_err(client.command(b"STLS"))
            self.assertEqual(client.command(b"STAT"), b"+OK 0 0")
            client.ok(b"LIST")
            self.assertEqual(client.lines(), [])
            self.assertEqual(client.command(b"XENV POP3_TLS"), b"+OK (none)")
            self.assertEqual(client.command(b"QUIT"), b"+OK bye from the backend")
            self.assert_closed(client)
            session = self.postern.session_of(client)
            self.postern.log.wait("dialogue_end", session=session, why="backend_closed")
            self.postern.log.wait("close", session=session)

    def test_stls_as_long_as_no_login_was_tried(self):
        with self.postern.connect() as client:
            client.ok(b"USER x")
            client.capabilities()
            client.stls(self.postern.trust())
            self.assert_err(client.command(b"PASS " + PASSWORD.encode()))  # USER is forgotten
            client.login("x", PASSWORD)
        self.postern.log.wait("backend")
        self.assertEqual(len(self.postern.log.find("backend")), 1)

    def test_another_attempt_after_a_failure(self):
        with self.postern.connect() as client:
            client.ok(b"USER x")
            self.assertEqual(client.command(b"PASS wrong"), b"-ERR wrong")
            self.assert_err(client.command(b"STLS"))
            client.ok(b"CAPA")
            client.lines()
            client.login("x", PASSWORD)

    @unittest.skipUnless(ROOT, "only root can look")
    def test_the_password_is_forgotten_once_the_backend_has_it(self):
        for lines in ((b"USER x", b"PASS " + PASSWORD.encode()), (b"AUTH PLAIN", PASSWORD.encode())):
            with self.postern.connect() as client:
                for line in lines:
                    answer = client.command(line)
                self.assert_ok(answer)
                client.ok(b"STAT")
                (worker,) = self.postern.worker("protocolbroker", self.postern.session_of(client))
                self.assertTrue(worker.remembers(b"protocolbroker: session"))  # so it can be seen
                self.assertFalse(worker.remembers(PASSWORD.encode()))

    def test_sasl_is_passed_on_as_it_is(self):
        with self.postern.connect() as client:
            self.assertEqual(client.command(b"AUTH PLAIN"), b"+ ")
            self.assertEqual(client.command(b"CAPA"), b"-ERR wrong: CAPA")
            self.assertEqual(client.command(b"AUTH PLAIN"), b"+ ")
            client.ok(PASSWORD.encode())
            client.ok(b"STAT")

    def test_a_bare_lf_ends_sasl(self):
        with self.postern.connect() as client:
            client.ok(b"USER x")
            self.assert_err(client.command(b"PASS wrong"))
            self.assertEqual(client.command(b"AUTH PLAIN"), b"+ ")
            client.send(PASSWORD.encode() + b"\n")
            self.assertEqual(client.line(), b"-ERR wrong: *")
            client.login("x", PASSWORD)  # commands are commands again

    def test_pipelined_commands_are_answered_in_order(self):
        with self.postern.connect() as client:
            client.send(b"USER x\r\nPASS %s\r\nRETR 3\r\nCAPA\r\nSTAT\r\nRETR 2000\r\nQUIT\r\n" % PASSWORD.encode())
            self.assertEqual(client.line(), b"+OK")
            self.assertEqual(client.line(), b"+OK welcome x")
            self.assertEqual(client.line(), b"+OK")
            self.assertEqual(len(client.lines()), 3)
            self.assert_ok(client.line())
            self.assertEqual(client.lines(), [line.encode() for line in [*self.CAPABILITIES, "USER"]])
            self.assertEqual(client.line(), b"+OK 0 0")
            self.assertEqual(client.line(), b"+OK")
            self.assertEqual(len(client.lines()), 2000)
            self.assertEqual(client.line(), b"+OK bye from the backend")
            self.assert_closed(client)

    def test_a_line_that_is_too_long(self):
        with self.postern.connect() as client:
            client.login("x", PASSWORD)
            client.send(b"X" * 5000 + b"\r\n")
            self.assertEqual(client.rest(), b"-ERR line too long\r\n")
            self.postern.log.wait("dialogue_end", why="line_too_long")


class ConnectTest(harness.PosternTest):
    def start_connected(self, address, **service):
        settings = {"login": "backend", "checkpassword": None, "backend": None, "environment": None, "connect": address}
        settings["capabilities"] = []  # else postern connects to it when it starts, to ask
        return self.start(service={**settings, **service})

    def listener(self, *arguments, unix=False):
        address = self.installation.path("sock-%d" % os.getpid()) if unix else ("127.0.0.1", self.installation.slot.port())
        listener = Listener(address, *arguments)
        self.addCleanup(listener.close)
        if unix:
            self.addCleanup(os.unlink, address)
            os.chmod(address, 0o666)
        return listener, address if unix else "%s:%d" % address

    def check_session(self, client):
        self.assertEqual(client.command(b"STAT"), b"+OK you said STAT")
        self.assertEqual(client.command(b"QUIT"), b"+OK bye")
        self.assert_closed(client)

    def test_over_tcp_and_a_unix_socket(self):
        for unix in (False, True):
            _, address = self.listener(0, unix=unix)
            postern = self.start_connected(address)
            with postern.connect_stls() as client:
                session = postern.session_of(client)
                eventually(lambda: not postern.worker("protocolbroker", session), "the broker's end")
                self.check_session(client)
            with pop3.Client(postern.pop3s, tls=postern.trust()) as client:
                self.assertEqual(client.line(), b"+OK elsewhere")
                self.check_session(client)
            postern.log.wait("connected", count=2, backend=address)
            postern.log.wait("close", count=2)

    def test_a_connected_socket_does_not_keep_the_launcher_busy(self):
        _, address = self.listener(0)
        postern = self.start_connected(address)
        (launcher,) = postern.role("backendlauncher")
        before = launcher.watched()
        with postern.connect_stls() as client:
            postern.log.wait("connected", session=postern.session_of(client))
            # Its copy is closed, but others have the socket: what epoll is not told to leave, it goes on reporting.
            eventually(lambda: launcher.watched() == before, lambda: "watched: %s" % launcher.watched())
            self.check_session(client)

    def test_proxy_version_1(self):
        listener, address = self.listener(1)
        postern = self.start_connected(address, proxy_protocol="v1")
        with postern.connect_stls(source="127.0.0.5") as client:
            name = client.sock.getsockname()
            self.check_session(client)
        with postern.connect_stls(host="::1") as client:
            name6 = client.sock.getsockname()
            self.check_session(client)
        self.assertEqual(
            listener.headers,
            [
                b"PROXY TCP4 127.0.0.5 127.0.0.1 %d %d\r\n" % (name[1], postern.pop3),
                b"PROXY TCP6 ::1 ::1 %d %d\r\n" % (name6[1], postern.pop3),
            ],
        )

    def test_proxy_version_2(self):
        listener, address = self.listener(2)
        postern = self.start_connected(address, proxy_protocol="v2")
        with pop3.Client(postern.pop3s, tls=postern.trust(), source="127.0.0.5") as client:
            name = client.sock.getsockname()
            client.greeted()
            self.check_session(client)
        (header,) = listener.headers
        self.assertEqual(header[:14], b"\r\n\r\n\0\r\nQUIT\n\x21\x11")
        addresses = socket.inet_aton("127.0.0.5") + socket.inet_aton("127.0.0.1")
        self.assertEqual(header[16:28], addresses + struct.pack(">HH", name[1], postern.pop3s))
        self.assertIn(b"\x02\x00\x09localhost", header)
        self.assertIn(b"\x21\x00\x07TLSv1.3", header)

    def test_clear_text(self):
        listener, address = self.listener(1)
        postern = self.start_connected(address, plaintext="allow", proxy_protocol="v1", capabilities=["TOP"])
        with postern.connect() as client:
            client.ok(b"USER x")
            self.assertEqual(client.command(b"PASS y"), b"+OK you said PASS y")
            self.assertEqual(client.capabilities(), ["TOP", "USER"])
            self.check_session(client)
        self.assertEqual(len(listener.headers), 1)

    def test_nobody_listens(self):
        port = self.installation.slot.port()
        for address in ("127.0.0.1:%d" % port, "/nonexistent/socket"):
            postern = self.start_connected(address, plaintext="allow")
            unavailable = b"-ERR the mail server is not available, try again later\r\n"
            with postern.connect_stls() as client:
                self.assertEqual(client.rest(), unavailable)
            with pop3.Client(postern.pop3s, tls=postern.trust()) as client:
                self.assertEqual(client.rest(), unavailable)
            with postern.connect() as client:
                client.ok(b"USER x")
                client.send(b"PASS y\r\n")
                self.assertEqual(client.rest(), unavailable)
            postern.log.wait("connect_failed", count=3, backend=address)

    def test_a_full_queue_is_waited_for(self):
        address = self.installation.path("full-%d" % os.getpid())
        with socket.socket(socket.AF_UNIX) as full:
            full.bind(address)
            self.addCleanup(os.unlink, address)
            os.chmod(address, 0o666)
            full.listen(0)
            waiting = socket.socket(socket.AF_UNIX)
            waiting.connect(address)  # as many as it holds
            postern = self.start_connected(address)
            with pop3.Client(postern.pop3s, tls=postern.trust()) as client:
                client.sock.settimeout(0.3)
                self.assertRaises(TimeoutError, client.sock.recv, 1)
                client.sock.settimeout(30)
                full.accept()[0].close()
                waiting.close()
                backend, _ = full.accept()
                with backend:
                    backend.sendall(b"+OK at last\r\n")
                    self.assertEqual(client.line(), b"+OK at last")

    def test_nothing_is_connected_before_tls(self):
        listener, address = self.listener(1)
        postern = self.start_connected(address, proxy_protocol="v1")
        for connect in (postern.connect, lambda: pop3.Client(postern.pop3s)):
            with connect():
                pass
        with postern.connect() as client:
            client.ok(b"STLS")
        postern.log.wait("close", count=3)
        self.assertEqual(postern.log.find("connected"), [])
        self.assertEqual(listener.headers, [])


if __name__ == "__main__":
    harness.main()
