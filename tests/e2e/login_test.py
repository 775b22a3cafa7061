"""Who may log in, where, and what the client is told."""

import base64
import concurrent.futures
import time

import harness
from harness import USER


class ClearTextTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def test_login_is_refused_and_not_offered(self):
        with self.postern.connect() as client:
            capabilities = client.capabilities()
            self.assertIn("STLS", capabilities)
            self.assertIn("TOP", capabilities)
            self.assertNotIn("USER", capabilities)
            self.assertFalse([line for line in capabilities if line.startswith("SASL")])
            for command in (
                b"USER " + USER.encode(),
                b"PASS " + self.postern.password.encode(),
                b"APOP demo 0123456789abcdef0123456789abcdef",
                b"AUTH PLAIN",
                b"AUTH PLAIN AGRlbW8AZGVtbw==",
            ):
                self.assert_err(client.command(command))
            self.assertIn("STLS", client.capabilities())  # the session goes on
        self.assertEqual(self.postern.log.find("login"), [])
        self.assertEqual(self.postern.log.find("login_failed"), [])

    def test_inside_tls_login_is_offered_and_stls_is_not(self):
        for client in (self.postern.connect_stls(), self.postern.connect_tls()):
            with client:
                capabilities = client.capabilities()
                self.assertIn("USER", capabilities)
                self.assertNotIn("STLS", capabilities)
                self.assert_err(client.command(b"STLS"))
                self.assert_ok(client.login(USER, self.postern.password))

    def test_after_quit_the_session_is_over(self):
        with self.postern.connect() as client:
            client.ok(b"QUIT")
            self.assert_closed(client)
            self.postern.log.wait("close", session=self.postern.session_of(client))


class AllowedInClearTextTest(harness.PosternTest):
    def test_login_works_and_the_stream_is_the_clients_own_socket(self):
        postern = self.start(service={"plaintext": "allow", **self.installation.backend("envdump")})
        with postern.connect() as client:
            capabilities = client.capabilities()
            self.assertIn("USER", capabilities)
            self.assertIn("STLS", capabilities)
            client.login(USER, postern.password)
            facts = client.lines()
            self.assertFalse([fact for fact in facts if fact.startswith(b"env SSL_") or fact.startswith(b"env POP3_TLS")])
            # Without TLS nothing of ours stays in the path.
            session = postern.session_of(client)
            self.assertEqual(postern.worker("tlsworker", session), [])
            harness.eventually(lambda: not postern.worker("protocolbroker", session), "the broker's end")
            self.assert_closed(client)

    def test_user_is_forgotten_at_stls(self):
        postern = self.start(service={"plaintext": "allow"})
        with postern.connect() as client:
            client.ok(b"USER " + USER.encode())
            client.stls(postern.trust())
            self.assert_err(client.command(b"PASS " + postern.password.encode()))
            self.assertEqual(postern.log.find("login"), [])
            client.login(USER, postern.password)


class RejectedTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()
        self.postern.secrets += ["wrong-Secret-1", "wrong-Secret-2"]

    def attempt(self, client, user, password):
        client.ok(b"USER " + user)
        return client.command(b"PASS " + password)

    def test_third_failure_ends_the_session(self):
        with self.postern.connect_stls() as client:
            session = self.postern.session_of(client)
            for _ in range(3):
                self.assert_err(self.attempt(client, USER.encode(), b"wrong-Secret-1"))
            self.assert_closed(client)
            self.postern.log.wait("login_failed", count=3, session=session, why="rejected")
            self.postern.log.wait("close", session=session)
        self.assertEqual(self.postern.log.find("login"), [])

    def test_an_unknown_user_is_told_the_same(self):
        with self.postern.connect_stls() as client:
            known = self.attempt(client, USER.encode(), b"wrong-Secret-1")
            self.assert_err(known)
            self.assertEqual(self.attempt(client, b"nobody-here", b"wrong-Secret-2"), known)

    def test_the_right_password_after_a_wrong_one(self):
        with self.postern.connect_stls() as client:
            self.assert_err(self.attempt(client, USER.encode(), b"wrong-Secret-1"))
            self.assert_err(client.command(b"PASS " + self.postern.password.encode()))  # the user was forgotten too
            self.assert_ok(self.attempt(client, USER.encode(), self.postern.password.encode()))
            client.ok(b"STAT")

    def test_order_and_odd_arguments(self):
        with self.postern.connect_tls() as client:
            for command in (b"PASS x", b"USER", b"USER ", b"APOP x y", b"AUTH", b"AUTH X", b"STAT", b"RETR 1", b"XYZZY", b""):
                self.assert_err(client.command(command))
            self.assertEqual(self.postern.log.find("login_failed"), [])
            self.assert_ok(client.login(USER, self.postern.password))


def plain(user, password):
    return base64.b64encode(b"\0" + user.encode() + b"\0" + password.encode())


class SaslTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start()
        self.answer = plain(USER, self.postern.password)
        # Nor may the log show them in the form in which they travel.
        self.postern.secrets += [self.answer.decode(), base64.b64encode(self.postern.password.encode()).decode()]

    def test_is_offered_inside_tls_only(self):
        with self.postern.connect() as client:
            self.assertFalse([line for line in client.capabilities() if line.startswith("SASL")])
            client.stls(self.postern.trust())
            self.assertIn("SASL PLAIN LOGIN", client.capabilities())

    def test_every_form_of_it(self):
        user, password = (base64.b64encode(text.encode()) for text in (USER, self.postern.password))
        for lines in (
            [b"AUTH PLAIN " + self.answer],
            [b"auth plain", self.answer],
            [b"AUTH LOGIN", user, password],
            [b"AUTH LOGIN " + user, password],
        ):
            for connect in (self.postern.connect_stls, self.postern.connect_tls):
                with self.subTest(lines=lines), connect() as client:
                    for line in lines[:-1]:
                        self.assertTrue(client.command(line).startswith(b"+ "))
                    client.ok(lines[-1])
                    client.ok(b"STAT")

    def test_what_follows_it_is_the_backends(self):
        with self.postern.connect_stls() as client:
            client.send(b"AUTH PLAIN\r\n%s\r\nSTAT\r\nQUIT\r\n" % self.answer)
            self.assertEqual(client.line(), b"+ ")
            for _ in range(3):
                self.assert_ok(client.line())
            self.assert_closed(client)

    def test_refusals_leave_the_session_as_it_was(self):
        with self.postern.connect_stls() as client:
            for lines in (
                [b"AUTH"], [b"AUTH CRAM-MD5"], [b"AUTH PLAIN ===="], [b"AUTH PLAIN", b"*"], [b"AUTH PLAIN", b"QUIT"],
                [b"AUTH LOGIN", b"*"], [b"AUTH LOGIN", b"STLS", b"RETR 1"], [b"AUTH PLAIN " + b"A" * 200],
                [b"AUTH PLAIN", b"A" * 1000], [b"AUTH PLAIN", base64.b64encode(b"x\0demo\0demo")],
            ):  # fmt: skip
                with self.subTest(lines=lines):
                    for line in lines[:-1]:
                        self.assertTrue(client.command(line).startswith(b"+ "))
                    self.assert_err(client.command(lines[-1]))
            self.assertEqual(self.postern.log.find("login_failed"), [])
            client.ok(b"AUTH PLAIN " + self.answer)

    def test_an_answer_that_does_not_end(self):
        for answer in (b"A" * 4096 + b"\r\n", b"A" * 20000):
            with self.postern.connect_stls() as client:
                client.command(b"AUTH PLAIN")
                client.send(answer)
                self.assertEqual(client.rest(), b"-ERR line too long\r\n")

    def test_a_wrong_password(self):
        with self.postern.connect_stls() as client:
            wrong = client.command(b"AUTH PLAIN " + plain(USER, "wrong"))
            self.assertTrue(wrong.startswith(b"-ERR [AUTH]"), wrong)
            client.ok(b"AUTH PLAIN " + self.answer)

    def test_a_long_password_by_it(self):
        password = "p" * 255  # more than a line of PASS can hold
        self.postern.write_passwd({USER: password})
        with self.postern.connect_tls() as client:
            client.command(b"AUTH PLAIN")
            client.ok(plain(USER, password))


class PenaltyTest(harness.PosternTest):
    def fail(self, postern, **arguments):
        """One failed login on a session of its own: how long its answer took, and the answer."""
        with postern.connect_tls(**arguments) as client:
            client.ok(b"USER " + USER.encode())
            started = time.monotonic()
            return client.command(b"PASS wrong"), time.monotonic() - started

    def test_counts_by_address_over_all_sessions(self):
        postern = self.start(limits={"login_penalty": 3})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            # The free ones, at once and at the same time.
            for answer, _ in pool.map(lambda _: self.fail(postern), range(3)):
                self.assertTrue(answer.startswith(b"-ERR [AUTH]"), answer)
            # From now on one after the other, the more slowly the more there are; and beyond half a minute not at all.
            answers = list(pool.map(lambda _: self.fail(postern), range(8)))
        refused = [answer for answer, _ in answers if answer.startswith(b"-ERR [SYS/TEMP] too many failed logins")]
        tried = sorted(seconds for answer, seconds in answers if answer.startswith(b"-ERR [AUTH]"))
        self.assertEqual(len(refused) + len(tried), 8)
        self.assertGreater(tried[-1], tried[0] + 2)
        postern.log.wait("login_failed", why="rejected", count=3 + len(tried))
        if refused:
            postern.log.wait("login_failed", why="penalty", count=len(refused))
        self.assertEqual(len(postern.log.find("login_failed", why="penalty")), len(refused))
        # Another address has nothing to do with it.
        started = time.monotonic()
        postern.logged_in(source="127.0.0.9").sock.close()
        self.assertLess(time.monotonic() - started, 5)

    def test_the_right_password_waits_too(self):
        postern = self.start(limits={"login_penalty": 1})
        with postern.connect_tls() as client:
            client.ok(b"USER " + USER.encode())
            client.command(b"PASS wrong")
            self.assertEqual(self.fail(postern)[0][:12], b"-ERR [AUTH] ")
            started = time.monotonic()
            client.login(USER, postern.password)
            self.assertGreater(time.monotonic() - started, 0.5)

    def test_zero_is_off(self):
        postern = self.start(limits={"login_penalty": 0})
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            for answer, seconds in pool.map(lambda _: self.fail(postern), range(30)):
                self.assertTrue(answer.startswith(b"-ERR [AUTH]"), answer)
                self.assertLess(seconds, 15)


class TroubleTest(harness.PosternTest):
    def password_refused_for_now(self, postern, why):
        with postern.connect_stls() as client:
            client.ok(b"USER " + USER.encode())
            self.assert_err(client.command(b"PASS " + postern.password.encode()))
            postern.log.wait(*why)

    def test_temporary_failure_of_checkpassword(self):
        postern = self.start(service={"checkpassword": ["/bin/sh", "-c", "exit 111"]})
        self.password_refused_for_now(postern, ["login_failed"])
        self.assertEqual(postern.log.find("login_failed")[0].fields["why"], "temporary")

    def test_checkpassword_that_fails_in_its_own_way(self):
        postern = self.start(service={"checkpassword": ["/bin/false"]})  # 1 is "rejected"
        self.password_refused_for_now(postern, ["login_failed"])
        postern = self.start(service={"checkpassword": ["/bin/sh", "-c", "kill -SEGV $$"]})
        self.password_refused_for_now(postern, ["login_failed"])
        self.assertEqual(postern.log.find("login_failed")[0].fields["why"], "fault")

    def test_backend_that_cannot_be_executed(self):
        backend = {"backend": ["/etc/passwd"], "environment": None}
        postern = self.prepare(service=backend)
        status, said = postern.check()
        self.assertEqual(status, 100, said)  # known before anything is served
        # One that check finds and exec refuses: an interpreter that does not exist.
        program = postern.write("no-interpreter", "#!/nonexistent/interpreter\n", 0o755)
        postern = self.start(service={"backend": [program], "environment": None})
        self.password_refused_for_now(postern, ["exec_failed"])


if __name__ == "__main__":
    harness.main()
