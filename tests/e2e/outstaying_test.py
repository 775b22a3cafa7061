"""Backends that do not behave: limits on them, what they leave behind, and what becomes of them when their client has gone."""

import os
import time

import harness
import processes
from harness import USER, eventually


def script(text):
    """Settings of a service whose backend, after a login, is a shell script."""
    return {"backend": ["/bin/sh", "-c", "printf '+OK\\r\\n'; " + text], "environment": None}


class LimitsTest(harness.PosternTest):
    def facts(self, text, limits):
        """What a script prints, line by line, under these limits."""
        postern = self.start(service={**script(text), "backend_limits": limits})
        with postern.connect_tls() as client:
            client.login(USER, postern.password)
            return client.rest().decode().split()

    def test_are_what_the_configuration_says(self):
        limits = {"memory_mib": 512, "open_files": 40, "processes": 30, "cpu_seconds": 50, "file_mib": 2, "nice": 3}
        report = "ulimit -v; ulimit -d; ulimit -n; ulimit -u; ulimit -t; ulimit -f; nice; ulimit -c"
        wanted = ["524288", "524288", "40", "30", "50", "2048", str(3 + os.nice(0)), "0"]
        self.assertEqual(self.facts("exec bash -c '%s'" % report, limits), wanted)

    def test_hold(self):
        script_text = "exec python3 -c 'x = bytearray(1 << 28); print(\"had it\")' 2>&1 | tail -1"
        self.assertEqual(self.facts(script_text, {"memory_mib": 128}), ["MemoryError"])
        self.assertEqual(self.facts(script_text, {"memory_mib": 1024}), ["had", "it"])

    def test_processor_time(self):
        postern = self.start(service={**script("while :; do :; done"), "backend_limits": {"cpu_seconds": 1}})
        with postern.connect_tls() as client:
            client.login(USER, postern.password)
            self.assert_closed(client)
            postern.log.wait("backend_end", status=128 + 9)

    def test_the_demos_server_works_under_them(self):
        limits = {"memory_mib": 64, "open_files": 32, "processes": 16, "cpu_seconds": 60, "nice": 5}
        postern = self.start(service={"backend_limits": limits})
        with postern.logged_in() as client:
            client.ok(b"RETR 3")
            self.assertEqual(len(client.lines()), len(harness.MESSAGES[2].splitlines()))
            client.ok(b"QUIT")
        postern.log.wait("backend_end", status=0)


class LeftBehindTest(harness.PosternTest):
    def sleepers(self, number):
        return processes.processes(lambda process: process.title() == "sleep " + number)

    def test_what_has_detached_itself_ends_with_its_backend_and_no_other(self):
        number = "1000.%d" % os.getpid()
        detached = "setsid setsid sleep %s </dev/null >/dev/null 2>&1 & read line" % number
        postern = self.start(service=script(detached))
        first, second = postern.logged_in(), postern.logged_in()
        eventually(lambda: len(self.sleepers(number)) == 2, "both backends' children")
        first.sock.close()
        postern.log.wait("backend_end", count=1)
        postern.log.wait("left_behind")
        eventually(lambda: len(self.sleepers(number)) == 1, "the end of the first's")
        second.send(b"over\r\n")
        self.assert_closed(second)
        eventually(lambda: not self.sleepers(number), "the end of the second's")
        postern.log.wait("left_behind", count=2)

    def test_with_time_it_lives_as_long_as_its_user_has_another_backend(self):
        number = "1000.3%d" % os.getpid()
        detached = "setsid setsid sleep %s </dev/null >/dev/null 2>&1 & read line" % number
        postern = self.start(service=script(detached), limits={"leftover_seconds": 1})
        first, second = postern.logged_in(), postern.logged_in()
        eventually(lambda: len(self.sleepers(number)) == 2, "both backends' children")
        first.sock.close()
        postern.log.wait("backend_end", count=1)
        ended = time.monotonic()
        eventually(lambda: time.monotonic() - ended > 2.5, "more than its time")
        self.assertEqual(len(self.sleepers(number)), 2)
        second.send(b"over\r\n")
        self.assert_closed(second)
        postern.log.wait("left_behind", count=2)
        eventually(lambda: not self.sleepers(number), "the end of both")

    def test_it_is_given_the_time_that_is_configured(self):
        number = "1000.2%d" % os.getpid()
        detached = "setsid setsid sleep %s </dev/null >/dev/null 2>&1 & read line" % number
        postern = self.start(service=script(detached), limits={"leftover_seconds": 2})
        with postern.logged_in() as client:
            eventually(lambda: self.sleepers(number), "the backend's child")
            client.send(b"over\r\n")
            self.assert_closed(client)
        postern.log.wait("backend_end")
        ended = time.monotonic()
        postern.log.wait("left_behind")
        self.assertGreaterEqual(time.monotonic() - ended, 1.5)
        eventually(lambda: not self.sleepers(number), "its end")

    def test_a_checkpasswords_too(self):
        number = "1000.1%d" % os.getpid()
        detached = "setsid sleep %s </dev/null >/dev/null 2>&1 & sleep 0.1; exit 1" % number
        postern = self.start(service={"checkpassword": ["/bin/sh", "-c", detached]})
        with postern.connect_tls() as client:
            client.ok(b"USER x")
            self.assert_err(client.command(b"PASS y"))
        eventually(lambda: not self.sleepers(number), "its end")


class ClientGoneTest(harness.PosternTest):
    def check_ended(self, postern, client):
        """The backend does not care for its client; it is killed, and the session's slot comes back."""
        session = postern.session_of(client)
        eventually(lambda: postern.processes(lambda process: "sleep 1000" in process.title()), "the backend")
        client.sock.close()
        postern.log.wait("backend_killed", session=session, why="client_gone")
        postern.log.wait("backend_end", session=session, status=128 + 9)
        postern.log.wait("close", session=session)

    def test_after_a_login(self):
        postern = self.start(service=script("exec sleep 1000"), limits={"backend_end_seconds": 1})
        for connect in (postern.connect_stls, postern.connect_tls):
            client = connect()
            client.login(USER, postern.password)
            self.check_ended(postern, client)

    def test_of_a_backend_that_does_the_login(self):
        service = {**script("exec sleep 1000"), "login": "backend", "checkpassword": None, "capabilities": None}
        service["plaintext"] = "allow"
        limits = {"backend_end_seconds": 1, "login_seconds": 3, "handshake_seconds": 1}
        postern = self.start(service=service, limits=limits)
        self.check_ended(postern, postern.connect_stls())
        self.check_ended(postern, postern.connect_tls())
        # In clear text a client may close its own direction and still wait for the answer: so there the time is given.
        client = postern.connect()
        client.ok(b"USER x")
        client.send(b"PASS y\r\n")
        self.check_ended(postern, client)

    def test_of_one_for_which_postern_answers_the_login(self):
        """Whether it has greeted, or never does: where the broker stands between the two, and where it is to have gone."""
        limits = {"backend_end_seconds": 1, "login_seconds": 3, "handshake_seconds": 1}
        for greeting in ("* PREAUTH ready", "* OK one moment"):
            text = "printf '%s\\r\\n'; exec sleep 1000" % greeting
            service = {"backend": ["/bin/sh", "-c", text], "environment": None, "capabilities": ["IMAP4rev1"]}
            service.update(greeting="preauth", plaintext="allow")
            postern = self.start(protocol="imap", service=service, limits=limits)
            clients = [postern.connect(), postern.connect_stls(), postern.connect_tls()]
            for client in clients:
                client.send(b"a LOGIN %s %s\r\n" % (USER.encode(), postern.password.encode()))
            for client in clients:
                if "PREAUTH" in greeting:
                    self.assertEqual(client.line(), b"a OK ready")
                postern.log.wait("login", session=postern.session_of(client))
                client.sock.close()
            for client in clients:
                session = postern.session_of(client)
                postern.log.wait("backend_killed", session=session, why="client_gone")
                postern.log.wait("close", session=session)

    def test_one_that_needs_a_moment_has_it(self):
        done = self.installation.path("done-%d" % os.getpid())
        open(done, "w", encoding="utf-8").close()
        os.chmod(done, 0o666)
        postern = self.start(
            service=script("read line; sleep 1; echo committed >%s" % done), limits={"backend_end_seconds": 30}
        )
        postern.logged_in().sock.close()
        postern.log.wait("backend_end", status=0)
        with open(done, encoding="utf-8") as file:
            self.assertEqual(file.read(), "committed\n")
        self.assertEqual(postern.log.find("backend_killed"), [])


if __name__ == "__main__":
    harness.main()
