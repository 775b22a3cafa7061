"""Who may log in, where, and what the client is told."""

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
