"""Who may log in by IMAP, where, and what the client is told."""

import base64
import concurrent.futures
import unittest

import harness
import imap
from harness import ROOT, USER, eventually

TAG_OCTETS = 62
PLAIN, LOGIN = b"AUTHENTICATE PLAIN", b"AUTHENTICATE LOGIN"
WRONG = b"NO [AUTHENTICATIONFAILED] "
OWN = {"AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR", "STARTTLS", "LOGINDISABLED"}


def b64(text):
    return base64.b64encode(text.encode())


class LoginTest(harness.PosternTest):
    PROTOCOL = "imap"

    def begins(self, answer, beginning):
        """Nothing stands before it but what imapd says where gam_server takes its time."""
        untagged, reply = answer
        self.assertEqual([line for line in untagged if not line.startswith(b"* OK [ALERT] ")], [])
        self.assertTrue(reply.startswith(beginning), reply)

    def hide(self, postern):
        """Nor may the log show the password in the form in which SASL has it travel."""
        self.plain = b64("\0%s\0%s" % (USER, postern.password))
        postern.secrets += [self.plain.decode(), b64(postern.password).decode()]


class ClearTextTest(LoginTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def test_login_is_refused_and_not_offered(self):
        self.hide(self.postern)
        login = b"LOGIN %s %s" % (USER.encode(), imap.quoted(self.postern.password))
        with self.postern.connect() as client:
            self.assertEqual(OWN & set(client.capabilities()), {"STARTTLS", "LOGINDISABLED"})
            # No answer asks for a password, a literal's octets or SASL's.
            for command in (login, b"LOGIN", b"LOGIN {4}", PLAIN, PLAIN + b" " + self.plain, PLAIN + b" =", LOGIN, b"AUTHENTICATE X"):
                with self.subTest(command=command):
                    self.begins(client.command(command), b"NO [PRIVACYREQUIRED] ")
            client.send(b"x LOGIN {4+}\r\ndemo {4+}\r\ndemo\r\n")  # it has been sent nevertheless
            self.begins(client.replies(b"x"), b"NO [PRIVACYREQUIRED] ")
            self.assertIn("STARTTLS", client.capabilities())  # the session goes on
            client.starttls(self.postern.trust())
            client.login(USER, self.postern.password)
        self.assertEqual(self.postern.log.find("login_failed"), [])

    def test_inside_tls_login_is_offered_and_starttls_is_not(self):
        for connect in (self.postern.connect_stls, self.postern.connect_tls):
            with connect() as client:
                capabilities = client.capabilities()
                self.assertIn("IMAP4rev1", capabilities)
                self.assertEqual(OWN & set(capabilities), {"AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR"})
                if connect == self.postern.connect_tls:
                    self.assertIn(b"[CAPABILITY %s]" % " ".join(capabilities).encode(), client.greeting)
                self.begins(client.command(b"STARTTLS"), b"BAD ")
                client.login(USER, self.postern.password)

    def test_what_is_answered_before_the_login(self):
        with self.postern.connect() as client:
            self.assertIn(b"[CAPABILITY %s]" % " ".join(client.capabilities()).encode(), client.greeting)
            self.assertEqual(client.ok(b"NOOP"), [])
            for command in (b"ID NIL", b'id ("name" "x" "version" NIL)', b"ID ()"):
                self.assertEqual(client.ok(command), [b"* ID NIL"])
            for command in (b"SELECT INBOX", b'LIST "" *', b"IDLE", b"XYZZY", b"FETCH 1 BODY[]", b"NOOP x", b"ID", b"CAPABILITY x"):
                self.begins(client.command(command), b"BAD ")
            client.send(b"(bad NOOP\r\n" + b"t" * (TAG_OCTETS + 1) + b" NOOP\r\n" + b"t" * TAG_OCTETS + b" NOOP\r\n\r\n")
            self.assertEqual([client.line()[:6] for _ in range(2)], [b"* BAD "] * 2)
            self.assertTrue(client.line().startswith(b"t" * TAG_OCTETS + b" OK "))
            self.assertEqual(client.line()[:6], b"* BAD ")
            untagged, reply = client.command(b"LOGOUT")
            self.assertEqual([line[:6] for line in untagged], [b"* BYE "])
            self.assertTrue(reply.startswith(b"OK "), reply)
            self.assert_closed(client)
            self.postern.log.wait("dialogue_end", session=self.postern.session_of(client), why="logout")


class AllowedInClearTextTest(LoginTest):
    def test_nothing_of_ours_stays_in_the_path(self):
        postern = self.start(service={"plaintext": "allow"})
        with postern.connect() as client:
            self.assertEqual(OWN & set(client.capabilities()), OWN - {"LOGINDISABLED"})
            client.login(USER, postern.password)
            session = postern.session_of(client)
            self.assertEqual(postern.worker("tlsworker", session), [])
            eventually(lambda: not postern.worker("protocolbroker", session), "the broker's end")
            client.ok(b"SELECT INBOX")

    def test_no_starttls_after_the_login(self):
        postern = self.start(service={"plaintext": "allow"})
        with postern.connect() as client:
            client.login(USER, postern.password)
            _, reply = client.command(b"STARTTLS")  # the backend's answer; it has no TLS
            self.assertFalse(reply.startswith(b"OK"), reply)


class EnvironmentTest(LoginTest):
    def environment(self, client, tag, postern):
        client.send(tag + b" LOGIN %s %s\r\n" % (USER.encode(), postern.password.encode()))
        facts = iter(client.line, b".")
        return dict(fact.decode()[4:].split("=", 1) for fact in facts if fact.startswith(b"env "))

    def test_what_the_backend_is_told(self):
        service = {**self.installation.backend("envdump"), "capabilities": ["IMAP4rev1", "IDLE"], "plaintext": "allow"}
        postern = self.start(service=service)
        for connect, tag in ((postern.connect, b"t"), (postern.connect_stls, b"~!]"), (postern.connect_tls, b"x" * TAG_OCTETS)):
            with self.subTest(connect=connect.__name__), connect(source="127.0.0.3") as client:
                told = self.environment(client, tag, postern)
                tls = {name for name in told if name.startswith("SSL_")}
                clear = connect == postern.connect
                self.assertEqual(tls, set() if clear else {"SSL_PROTOCOL", "SSL_CIPHER", "SSL_TLS_SNI_SERVERNAME"})
                wanted = {
                    "IMAPLOGINTAG": tag.decode(), "AUTHENTICATED": USER, "AUTHADDR": USER, "USER": USER, "HOME": postern.home,
                    "IMAP_CAPABILITY": "IMAP4rev1 IDLE", "IMAP_TLS": None if clear else "1", "PROTO": "TCP",
                    "TCPREMOTEIP": "127.0.0.3", "TCPREMOTEPORT": str(client.local[1]), "TCPLOCALIP": "127.0.0.1",
                    "TCPLOCALPORT": str(postern.imaps if connect == postern.connect_tls else postern.imap),
                }  # fmt: skip
                self.assertEqual({name: told.get(name) for name in wanted}, wanted)
                self.assertNotIn(postern.password, " ".join(told.values()))


    def test_a_variable_has_one_value(self):
        """courier's programs take the first of two, others the last."""
        said = "IMAP_CAPABILITY=IMAP4rev1 IDLE AUTH=PLAIN"
        program = "print('* OK ready', flush=True); input(); print(open('/proc/self/environ').read())"
        postern = self.start(
            service={
                "login": "backend", "checkpassword": None, "backend": ["/usr/bin/python3", "-c", program],
                "plaintext": "allow", "capabilities": ["IMAP4rev1", "IDLE"], "environment": dict([said.split("=", 1)]),
            }
        )  # fmt: skip
        with postern.connect() as client:
            client.send(b"a LOGIN x y\r\n")
            told = client.rest().decode().split("\0")
            self.assertEqual([variable for variable in told if variable.startswith("IMAP_CAPABILITY=")], [said])


class FormsTest(LoginTest):
    """In how many ways a name and a password can be said."""

    def setUp(self):
        super().setUp()
        self.postern = self.start()
        self.password = 'pass "word\\ {9} \' '
        self.postern.write_passwd({USER: self.password})
        self.postern.password = self.password
        self.hide(self.postern)

    def log_in(self, octets, *answers):
        for connect in (self.postern.connect_stls, self.postern.connect_tls):
            with self.subTest(octets=octets), connect() as client:
                self.begins(client.dialogue(octets, *answers), b"OK LOGIN Ok.")
                client.ok(b"SELECT INBOX")

    def test_login(self):
        user, password = USER.encode(), self.password.encode()
        quoted, octets = imap.quoted(self.password), len(self.password)
        self.log_in(b"LOGIN demo " + quoted)
        self.log_in(b'login "demo" ' + quoted)
        self.log_in(b"LOGIN {4}", user + b" " + quoted + b"\r\n")
        self.log_in(b"LOGIN {4}", user + b" {%d}\r\n" % octets, password + b"\r\n")
        self.log_in(b"LOGIN {4+}\r\ndemo {%d+}\r\n%s" % (octets, password))
        self.log_in(b"LOGIN {4+}\r\ndemo {%d}" % octets, password + b"\r\n")

    def test_sasl(self):
        user, password = b64(USER), b64(self.password)
        self.log_in(PLAIN, self.plain + b"\r\n")
        self.log_in(b"authenticate plain " + self.plain)
        self.log_in(LOGIN, user + b"\r\n", password + b"\r\n")
        self.log_in(LOGIN + b" " + user, password + b"\r\n")

    def test_long_ones(self):
        password = "p" * 255
        self.postern.write_passwd({USER: password})
        self.log_in(b"LOGIN demo " + password.encode())
        self.log_in(b"LOGIN demo {255}", password.encode() + b"\r\n")
        self.log_in(PLAIN, b64("\0%s\0%s" % (USER, password)) + b"\r\n")

    def test_refusals_leave_the_session_as_it_was(self):
        with self.postern.connect_stls() as client:
            for octets, *answers in (
                (b"LOGIN",), (b"LOGIN demo",), (b'LOGIN "demo',), (b"LOGIN demo a b",), (b"LOGIN demo  demo",), (b"LOGIN (demo) x",),
                (b"LOGIN {4}", b"demo\r\n"), (b"LOGIN {9999}",), (b"LOGIN {99999999999999999999}",),
                (b"LOGIN demo {4}", b"a\0bc\r\n"), (b"LOGIN demo {4+}\r\na\r\nc",),
                (b"AUTHENTICATE",), (b"AUTHENTICATE CRAM-MD5",), (PLAIN + b" ====",), (PLAIN, b"*\r\n"), (PLAIN, b"x LOGOUT\r\n"),
                (LOGIN, b"*\r\n"), (LOGIN, b64("demo") + b"\r\n", b"x NOOP\r\n"), (PLAIN, b64("x\0demo\0demo") + b"\r\n"),
                (PLAIN + b" " + b64("\0demo\0a\0b"),),
            ):  # fmt: skip
                with self.subTest(octets=octets, answers=answers):
                    untagged, reply = client.dialogue(octets, *answers)
                    self.assertEqual(untagged, [])
                    self.assertTrue(reply.startswith((b"BAD ", b"NO ")), reply)
            self.assertEqual(self.postern.log.find("login_failed"), [])
            client.login(USER, self.password)


class RejectedTest(LoginTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()
        self.postern.secrets += ["wrong-Secret-1", "wrong-Secret-2"]

    def test_third_failure_ends_the_session(self):
        with self.postern.connect_stls() as client:
            self.begins(client.command(b"LOGIN demo wrong-Secret-1"), WRONG)
            self.begins(client.dialogue(PLAIN, b64("\0demo\0wrong-Secret-1") + b"\r\n"), WRONG)
            client.send(b"last LOGIN demo {14+}\r\nwrong-Secret-1\r\nx NOOP\r\n")
            self.begins(client.replies(b"last"), WRONG)
            self.assertTrue(client.rest().startswith(b"* BYE "))
        session = self.postern.session_of(client)
        self.postern.log.wait("login_failed", count=3, session=session, why="rejected")
        self.postern.log.wait("dialogue_end", session=session, why="attempts")
        self.postern.log.wait("close", session=session)
        self.assertEqual(self.postern.log.find("login"), [])

    def test_an_unknown_user_is_told_the_same(self):
        with self.postern.connect_tls() as client:
            known = client.command(b"LOGIN demo wrong-Secret-1")
            self.begins(known, WRONG)
            self.assertEqual(client.command(b"LOGIN nobody-here wrong-Secret-2"), known)

    def test_the_right_password_after_a_wrong_one(self):
        """What was sent behind the wrong one meanwhile is obeyed then, by postern and then by imapd."""
        login = b"c LOGIN demo %s\r\n" % imap.quoted(self.postern.password)
        for connect in (self.postern.connect_stls, self.postern.connect_tls):
            with connect() as client:
                client.send(b"a LOGIN demo wrong-Secret-1\r\nb NOOP\r\n" + login + b"d SELECT INBOX\r\n")
                self.begins(client.replies(b"a"), WRONG)
                self.begins(client.replies(b"b"), b"OK ")
                self.begins(client.replies(b"c"), b"OK LOGIN Ok.")
                self.assertEqual(client.replies(b"d")[1][:2], b"OK")

    def test_an_address_with_too_many_failures(self):
        postern = self.start(limits={"login_penalty": 1})
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            clients = list(pool.map(lambda _: postern.connect_tls(), range(12)))
        # At the same time, so that none has to wait for another; on a slow machine some may have to all the same.
        failed = lambda why: postern.log.find("login_failed", why=why)
        for client in clients[:8]:
            client.send(b"a LOGIN demo wrong-Secret-1\r\n")
        harness.eventually(lambda: len(failed("rejected")) >= 8 or failed("penalty"), "eight failures", 60)
        # From now on one after the other and slowly; those that would have to wait too long are told so at once.
        for client in clients[8:]:
            client.send(b"a LOGIN demo wrong-Secret-1\r\n")
        session = postern.log.wait("login_failed", why="penalty").session
        (client,) = [client for client in clients if postern.session_of(client) == session]
        self.begins(client.replies(b"a"), b"NO [UNAVAILABLE] ")
        self.assertTrue(client.rest().startswith(b"* BYE "))
        for client in clients:
            client.sock.close()


class TroubleTest(LoginTest):
    def refused_for_now(self, name, /, service, **fields):
        postern = self.start(service={"capabilities": ["IMAP4rev1"], **service})
        for connect in (postern.connect_stls, postern.connect_tls):
            with connect() as client:
                self.begins(client.command(b"LOGIN demo %s" % imap.quoted(postern.password)), b"NO [UNAVAILABLE] ")
                self.assertTrue(client.rest().startswith(b"* BYE "))
                session = postern.session_of(client)
            postern.log.wait(name, session=session, **fields)
            postern.log.wait("dialogue_end", session=session, why="temporary")

    def test_temporary_failure_of_checkpassword(self):
        self.refused_for_now("login_failed", {"checkpassword": ["/bin/sh", "-c", "exit 111"]}, why="temporary")

    def test_checkpassword_that_fails_in_its_own_way(self):
        self.refused_for_now("login_failed", {"checkpassword": ["/bin/sh", "-c", "kill -SEGV $$"]}, why="fault")

    def test_backend_that_cannot_be_executed(self):
        program = self.installation.path("no-interpreter")
        with open(program, "w", encoding="utf-8") as file:
            file.write("#!/nonexistent/interpreter\n")
        harness.os.chmod(program, 0o755)
        self.refused_for_now("exec_failed", {"backend": [program], "environment": None})

    def test_backend_that_ends_without_a_word(self):
        postern = self.start(service={"backend": ["/bin/false"], "environment": None, "capabilities": ["IMAP4rev1"]})
        with postern.connect_tls() as client:
            client.send(b"a LOGIN demo %s\r\n" % imap.quoted(postern.password))
            self.assert_closed(client)
            postern.log.wait("backend_end", session=postern.session_of(client), status=1)

    def test_greeting_that_never_comes(self):
        """Where postern is to make an answer of it."""
        for script in ("exit 1", "printf '* BYE not today\\r\\n'", "printf 'nonsense\\r\\n'; sleep 1000", "printf '* PREA'"):
            service = {"backend": ["/bin/sh", "-c", script], "environment": None, "greeting": "preauth", "capabilities": ["IMAP4rev1"]}
            postern = self.start(service=service)
            with self.subTest(script=script), postern.connect_tls() as client:
                client.send(b"a LOGIN demo %s\r\n" % imap.quoted(postern.password))
                self.assertRegex(client.rest(), rb"^\* BYE [ -~]+\r\n$")
                postern.log.wait("dialogue_end", session=postern.session_of(client), why="backend")


@unittest.skipUnless(ROOT, "the uid of an ordinary user has a name")
class WithoutNameTest(LoginTest):
    """A uid that is not in /etc/passwd: gamin does not work for it, and imapd says so."""

    def test_login(self):
        postern = self.prepare()
        postern.prefix = []
        self.addCleanup(self.end, postern)
        postern.start()
        with postern.connect_tls() as client:
            untagged, reply = client.command(b"LOGIN demo %s" % imap.quoted(postern.password))
            self.assertEqual(reply, b"OK LOGIN Ok.")
            self.assertEqual([line[:13] for line in untagged], [b"* OK [ALERT] "])
            client.ok(b"SELECT INBOX")


if __name__ == "__main__":
    harness.main()
