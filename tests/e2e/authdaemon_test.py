"""login = "backend" with Debian's courierpop3login, which asks authdaemond: first by hand, then behind postern."""

import base64
import socket
import subprocess
import unittest

import authdaemon
import clients
import harness
import pop3
from harness import MESSAGES, ROOT, USER, as_on_the_wire

GREETING = b"+OK Hello there."  # courierpop3login's
LOGGED_IN = b"+OK logged in."
CAPABILITIES = ["TOP", "UIDL", "PIPELINING"]


class CourierTest(authdaemon.CourierTest):
    def check_sasl(self, client):
        """PLAIN with an initial response, refused and then accepted: courier's, which postern does not look into."""
        for password, answer in (("wrong", b"-ERR Authentication failed."), (self.postern.password, LOGGED_IN)):
            message = base64.b64encode(b"\0%s\0%s" % (USER.encode(), password.encode()))
            self.assertEqual(client.command(b"AUTH PLAIN " + message), answer)
        client.ok(b"STAT")


@unittest.skipUnless(ROOT, "only root has mount namespaces and other users")
class ByHandTest(CourierTest):
    """What courierpop3login needs and does, without postern."""

    CAPABILITIES = "-all,+setuid,+setgid,+kill"

    def setUp(self):
        super().setUp()
        self.postern = self.prepare_courier()

    def talk(self, *commands, groups="courier", leave_out=""):
        """What it answers to the commands, each sent once the one before was answered; its exit status."""
        courier = self.daemon.courier
        command = [*self.daemon.enter(), "setpriv", "--bounding-set=" + self.CAPABILITIES, "--no-new-privs"]
        command += ["--groups=" + groups] if groups else ["--clear-groups"]
        environment = {**self.daemon.environment, "TCPLOCALPORT": "110", "TCPREMOTEIP": "::1", "TCPREMOTEPORT": "4711"}
        environment.pop(leave_out, None)
        ours, its = socket.socketpair()
        ours.settimeout(30)
        process = subprocess.Popen(
            [*command, courier + "/bin/courierpop3login", courier + "/bin/courierpop3d", "Maildir"],
            stdin=its,
            stdout=its,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.addCleanup(process.kill)
        its.close()
        with ours, ours.makefile("rb") as stream:
            answers = [stream.readline()]
            for line in commands:
                try:
                    ours.sendall(line + b"\r\n")
                    answers.append(stream.readline())
                except OSError:
                    break
        return [answer.rstrip(b"\r\n") for answer in answers], process.wait(30)

    def login(self, **how):
        return self.talk(b"USER " + USER.encode(), b"PASS " + self.postern.password.encode(), b"QUIT", **how)

    def test_three_capabilities_and_the_group_are_enough(self):
        answers, status = self.login()
        self.assertEqual(answers, [GREETING, b"+OK Password required.", LOGGED_IN, b"+OK Bye-bye."])
        self.assertEqual(status, 0)

    def test_without_the_group_it_does_not_reach_the_socket(self):
        answers, status = self.login(groups="")
        self.assertEqual(answers[2], b"-ERR Temporary problem, please try again later")
        self.assertEqual(status, 1)

    def test_without_tcplocalport_it_crashes(self):
        answers, status = self.login(leave_out="TCPLOCALPORT")
        self.assertEqual(answers[2], b"")
        self.assertEqual(status, -11)

    def test_what_is_pipelined_behind_pass_is_lost(self):
        login = b"USER %s\r\nPASS %s\r\nSTAT" % (USER.encode(), self.postern.password.encode())
        answers, _ = self.talk(login, b"NOOP", b"QUIT")
        # The answer to STAT never comes, that to QUIT takes the place of NOOP's.
        self.assertEqual(answers[:3], [GREETING, b"+OK Password required.", LOGGED_IN])
        self.assertNotIn(b"+OK %d" % len(MESSAGES), b" ".join(answers[3:]))


@unittest.skipUnless(ROOT, "only root has mount namespaces and other users")
class InsideTlsTest(CourierTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start_courier()

    def read_everything(self, client):
        with client:
            self.assertEqual(client.login(USER, self.postern.password), LOGGED_IN)
            for number, message in enumerate(MESSAGES, 1):
                client.ok(b"RETR %d" % number)
                self.assertEqual(client.lines() == as_on_the_wire(message), True, number)
            self.assertEqual(client.command(b"QUIT"), b"+OK Bye-bye.")
            self.assert_closed(client)
            session = self.postern.session_of(client)
        log = self.postern.log
        log.wait("backend_end", session=session, status=0)
        log.wait("tls_end", session=session)
        log.wait("close", session=session)
        address, port = client.local[:2]
        said = "INFO: LOGIN, user=%s, ip=[%s], port=[%d]" % (USER, address, port)
        log.until(lambda: said in log.text(), said)

    def test_stls(self):
        with self.postern.connect() as client:
            self.assertIn("STLS", client.capabilities())
        client = self.postern.connect_stls(source="127.0.0.4")
        self.assertNotIn("STLS", client.capabilities())  # this and all that follows is courier's answer
        self.read_everything(client)

    def test_implicit_tls(self):
        client = pop3.Client(self.postern.pop3s, tls=self.postern.trust())
        self.assertEqual(client.line(), GREETING)
        self.read_everything(client)

    def test_wrong_password_and_another_attempt(self):
        with self.postern.connect_tls() as client:
            client.ok(b"USER " + USER.encode())
            self.assertEqual(client.command(b"PASS wrong"), b"-ERR Login failed.")
            self.assertEqual(client.login(USER, self.postern.password), LOGGED_IN)
        said = "LOGIN FAILED, user=%s, ip=[127.0.0.1]" % USER
        self.postern.log.until(lambda: said in self.postern.log.text(), said)

    def test_sasl(self):
        with self.postern.connect_stls() as client:
            self.assertIn("SASL PLAIN LOGIN", client.capabilities())
            self.check_sasl(client)

    def test_without_authdaemond(self):
        self.daemon.kill()
        with self.postern.connect_tls() as client:
            client.ok(b"USER " + USER.encode())
            self.assertEqual(client.command(b"PASS x"), b"-ERR Temporary problem, please try again later")
            self.assert_closed(client)
        said = "authdaemon: s_connect() failed"
        self.postern.log.until(lambda: said in self.postern.log.text(), said)

    def test_who_serves_the_mail(self):
        with self.postern.connect_tls() as client:
            client.login(USER, self.postern.password)
            (server,) = self.postern.processes(lambda process: process.program().endswith("/courierpop3d"))
            status = server.status()
            self.assertEqual(set(status["Uid"].split()) | set(status["Gid"].split()), {str(self.postern.mail_uid)})
            self.assertEqual(status["Groups"].split(), [str(self.postern.mail_uid)])  # courier is gone
            self.assertEqual(status["CapEff"], "0" * 16)

    def test_clients(self):
        listing = clients.curl(self.postern, "pop3s://localhost:%d/" % self.postern.pop3s)
        self.assertEqual(len(listing.splitlines()), len(MESSAGES))
        got = clients.fetchmail(self.postern, self.postern.pop3, 'sslproto "TLS1.2+"')
        self.assertEqual(got.count(b"=end="), len(MESSAGES))
        messages, _ = clients.mpop(self.postern, self.postern.pop3, "on")
        self.assertEqual(len(messages), len(MESSAGES))


@unittest.skipUnless(ROOT, "only root has mount namespaces and other users")
class ClearTextTest(CourierTest):
    def setUp(self):
        super().setUp()
        self.postern = self.start_courier(plaintext="allow", capabilities=CAPABILITIES)

    def test_login(self):
        with self.postern.connect() as client:
            before = client.capabilities()
            self.assertEqual(sorted(before), sorted([*CAPABILITIES, "USER", "STLS"]))
            self.assertEqual(client.login(USER, self.postern.password), LOGGED_IN)
            # Postern's answer, not courier's, which names more.
            self.assertEqual(sorted(client.capabilities()), sorted([*CAPABILITIES, "USER"]))
            client.ok(b"RETR 2")
            self.assertEqual(client.lines(), as_on_the_wire(MESSAGES[1]))
            self.assertEqual(client.command(b"QUIT"), b"+OK Bye-bye.")
            self.assert_closed(client)
            self.postern.log.wait("backend_end", session=self.postern.session_of(client), status=0)

    def test_pipelined_commands_are_not_lost(self):
        with self.postern.connect() as client:
            client.send(b"USER %s\r\nPASS %s\r\nSTAT\r\nQUIT\r\n" % (USER.encode(), self.postern.password.encode()))
            self.assert_ok(client.line())
            self.assertEqual(client.line(), LOGGED_IN)
            self.assertTrue(client.line().startswith(b"+OK %d " % len(MESSAGES)))
            self.assertEqual(client.line(), b"+OK Bye-bye.")

    def test_sasl(self):
        with self.postern.connect() as client:
            self.check_sasl(client)
            self.assertEqual(sorted(client.capabilities()), sorted([*CAPABILITIES, "USER"]))

    def test_stls_after_capa_and_user(self):
        with self.postern.connect() as client:
            client.capabilities()
            client.ok(b"USER " + USER.encode())
            client.stls(self.postern.trust())
            self.assert_err(client.command(b"PASS " + self.postern.password.encode()))  # USER is forgotten
            self.assertEqual(client.login(USER, self.postern.password), LOGGED_IN)

    def test_wrong_password_and_another_attempt(self):
        with self.postern.connect() as client:
            client.ok(b"USER " + USER.encode())
            self.assertEqual(client.command(b"PASS wrong"), b"-ERR Login failed.")
            self.assertEqual(client.login(USER, self.postern.password), LOGGED_IN)


del CourierTest  # only its children are tests

if __name__ == "__main__":
    harness.main()
