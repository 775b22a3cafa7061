"""The command postern: what it says, how it ends, and how it runs for an ordinary user."""

import os
import re
import select
import shutil
import socket
import subprocess
import unittest

import harness
from harness import ROOT, USER


class CheckTest(harness.PosternTest):
    """postern check FILE: everything that is wrong, with file and line, before anything is served."""

    def setUp(self):
        super().setUp()
        self.postern = self.prepare()

    def rewrite(self, **service):
        self.postern.settings["service.pop3"].update(service)
        self.postern.write("postern.toml", harness.toml_sections(self.postern.settings))

    def place(self, key):
        with open(self.postern.file, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.startswith(key + " ="):
                    return re.escape(self.postern.file) + ":%d:[0-9]+: " % number
        raise AssertionError("no " + key)

    def check_says(self, key, *words):
        """Exit status 100, and a line about that key that has all the words."""
        status, said = self.postern.check()
        self.assertEqual(status, 100, said)
        lines = [line for line in said.splitlines() if re.match(self.place(key), line)]
        self.assertEqual(len(lines), 1, said)
        for word in words:
            self.assertIn(word, lines[0])
        return said

    def test_in_order(self):
        status, said = self.postern.check()
        self.assertEqual(status, 0, said)
        self.assertEqual(self.postern.processes(), [])

    def test_unknown_key(self):
        self.rewrite(certifcate="x")
        self.check_says("certifcate", "certificate")

    def test_wrong_type_and_wrong_value(self):
        self.rewrite(plaintext="maybe", no_new_privs="yes")
        self.check_says("plaintext", "maybe")
        self.check_says("no_new_privs")

    def test_address_without_port(self):
        self.rewrite(listen=["127.0.0.1"])
        self.check_says("listen")

    def test_missing_certificate_and_key(self):
        self.rewrite(certificate="none.pem", key="nokey.pem")
        self.check_says("certificate", "none.pem")
        self.check_says("key", "nokey.pem")

    def test_key_that_others_may_read(self):
        for mode in (0o644, 0o640, 0o604):
            os.chmod(self.postern.path("key.pem"), mode)
            self.check_says("key", "%04o" % mode)

    def test_key_of_another_certificate(self):
        _, other = self.installation.make_certificate("other")
        shutil.copy(other, self.postern.path("key.pem"))
        status, said = self.postern.check()
        self.assertEqual(status, 100, said)
        self.assertRegex(said, self.place("key") + "|" + self.place("certificate"))

    def test_garbage_in_certificate_and_key(self):
        self.postern.write("garbage.pem", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", 0o600)
        self.rewrite(certificate="garbage.pem")
        self.check_says("certificate")
        self.rewrite(certificate="cert.pem", key="garbage.pem")
        self.check_says("key")
        self.postern.write("garbage.pem", "", 0o600)
        self.check_says("key")

    def test_programs(self):
        plain = self.postern.write("plain", "no program", 0o644)
        self.rewrite(checkpassword=["/nonexistent/checkpassword"], backend=[plain])
        self.check_says("checkpassword", "/nonexistent/checkpassword")
        self.check_says("backend", plain)
        self.rewrite(backend=["courierpop3d"])
        self.check_says("backend", "courierpop3d")

    def test_missing_policies(self):
        self.postern.settings.setdefault("roles", {})["policies"] = "/nonexistent/policies"
        self.rewrite()
        self.assertEqual(self.postern.check()[0], 100)

    def test_a_policy_that_is_none(self):
        policies = self.postern.path("policies")
        shutil.copytree(self.postern.path("stage") + "/share/postern/policies", policies)
        self.postern.settings.setdefault("roles", {})["policies"] = policies
        self.rewrite()
        self.assertEqual(self.postern.check()[0], 0, self.postern.check()[1])
        with open(policies + "/tlsworker.policy", "a", encoding="utf-8") as file:
            file.write("\nopne_everything: allow\n")
        status, said = self.postern.check()
        self.assertEqual(status, 100, said)
        self.assertIn("opne_everything", said)
        self.assertRegex(said, r"tlsworker\.policy:\d+")

    def test_everything_that_is_wrong_is_said_at_once(self):
        self.rewrite(certificate="none.pem", backend=["/nonexistent/b"], checkpassword=["/nonexistent/c"])
        os.chmod(self.postern.path("key.pem"), 0o644)
        for key in ("certificate", "key", "backend", "checkpassword"):
            self.check_says(key)

    def test_syntax_and_missing_file(self):
        with open(self.postern.file, "a", encoding="utf-8") as file:
            file.write("\nno equals sign\n")
        status, said = self.postern.check()
        self.assertEqual(status, 100)
        self.assertRegex(said, re.escape(self.postern.file) + r":\d+:")
        os.unlink(self.postern.file)
        status, said = self.postern.check()
        self.assertEqual(status, 100)
        self.assertIn(self.postern.file, said)

    def test_run_refuses_what_check_refuses(self):
        os.chmod(self.postern.path("key.pem"), 0o644)
        self.postern.launch()
        self.assertEqual(self.postern.gone(), 100)
        self.assertRegex(self.postern.log.text(), self.place("key"))
        self.assertNotIn("ready", self.postern.log.lines)


class RunTest(harness.PosternTest):
    def test_notification_fd(self):
        postern = self.prepare()
        self.addCleanup(self.end, postern)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        postern.arguments = ["--notification-fd", str(writer)]
        postern.pass_fds = (writer,)
        postern.launch()
        os.close(writer)
        self.assertTrue(select.select([reader], [], [], 30)[0])
        self.assertEqual(os.read(reader, 10), b"\n")
        self.assertEqual(os.read(reader, 10), b"")  # closed, and no role holds it
        with postern.logged_in() as client:  # it was no lie
            client.ok(b"STAT")

    def test_who_runs_as_whom_is_said_before_ready(self):
        postern = self.start()
        before = postern.log.lines[: postern.log.lines.index("ready")]
        for role in (*harness.ROLES, "supervisor"):
            (line,) = [line for line in before if line.split()[:1] == [role]]
            if role in harness.ROLES and ROOT:
                self.assertIn(str(postern.role_uids[harness.ROLES.index(role)]), line.split())
                (process,) = postern.role(role)
                self.assertIn(str(process.pid), line.split())

    def test_port_in_use(self):
        postern = self.prepare()
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", postern.pop3s))
            holder.listen()
            postern.launch()
            self.assertEqual(postern.gone(), 111)
        self.assertIn("127.0.0.1:%d" % postern.pop3s, postern.log.text())
        self.assertIn("in use", postern.log.text())
        self.assertNotIn("ready", postern.log.lines)

    def test_a_role_that_cannot_start_says_why(self):
        postern = self.prepare()
        policies = postern.path("policies")
        shutil.copytree(postern.path("stage") + "/share/postern/policies", policies)
        with open(policies + "/acceptor.policy", encoding="utf-8") as file:
            text = file.read()
        # A policy in order, but with no place for what the role is given.
        changed = re.sub(r" listener(\*|:\S+)", "", text)
        self.assertNotEqual(changed, text)
        with open(policies + "/acceptor.policy", "w", encoding="utf-8") as file:
            file.write(changed)
        postern.settings.setdefault("roles", {})["policies"] = policies
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        postern.launch()
        self.assertEqual(postern.gone(), 100, postern.log.text())
        self.assertIn("acceptor", postern.log.text())
        self.assertRegex(postern.log.text(), r"ev=fatal .*listener")
        self.assertNotIn("ready", postern.log.lines)

    def test_started_again_at_once(self):
        postern = self.start()
        with postern.logged_in() as client:
            client.ok(b"QUIT")
        self.assertEqual(postern.stop(), 0)
        postern.start()
        with postern.logged_in() as client:
            client.ok(b"QUIT")

    def test_usage(self):
        program = self.prepare().program
        run = lambda *words: subprocess.run(
            [program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
        for words in ((), ("run",), ("frobnicate", "x"), ("--frobnicate",), ("check", "a", "b")):
            done = run(*words)
            self.assertEqual(done.returncode, 100, words)
            self.assertIn("usage:", done.stderr)
        self.assertEqual(run("--help").returncode, 0)
        self.assertIn("usage:", run("--help").stdout)
        self.assertRegex(run("--version").stdout, r"^postern \d")

    def test_closed_standard_descriptors(self):
        """Started by something careless: a client must not become descriptor 0."""
        postern = self.prepare()
        command = 'exec "$0" check "$1" <&- >&- 2>&-'
        done = subprocess.run(["/bin/sh", "-c", command, postern.program, postern.file], timeout=30, check=False)
        self.assertIn(done.returncode, (0, 100, 111))


@unittest.skipUnless(ROOT, "all other tests run as an ordinary user then")
class OrdinaryUserTest(harness.PosternTest):
    def test_serves_and_says_what_is_weaker(self):
        postern = self.start(ordinary=True)
        before = "\n".join(postern.log.lines[: postern.log.lines.index("ready")])
        self.assertIn("weaker", before)
        for connect in (postern.connect_stls, postern.connect_tls):
            with connect() as client:
                client.login(USER, postern.password)
                client.ok(b"RETR 1")
                client.lines()
                session = postern.session_of(client)
                workers = postern.worker("tlsworker", session)
                self.assertEqual(len(workers), 1)
                for process in postern.processes():
                    self.assertEqual(process.uids(), {postern.uid}, process)
                for name in harness.ROLES:
                    (process,) = postern.role(name)
                    status = process.status()
                    self.assertEqual((status["Seccomp"], int(status["CapEff"], 16)), ("2", 0), name)
                    if name != "backendlauncher":
                        self.assertEqual(status["NoNewPrivs"], "1")
                        self.assertNotEqual(process.namespace("net"), os.readlink("/proc/self/ns/net"))
                        self.assertEqual(os.listdir(process.path("root")), [])
                client.ok(b"QUIT")
            postern.log.wait("close", session=session)

    def test_a_wrong_password_is_refused(self):
        postern = self.start(ordinary=True)
        with postern.connect_tls() as client:
            client.ok(b"USER " + USER.encode())
            self.assert_err(client.command(b"PASS wrong"))
            client.login(USER, postern.password)


if __name__ == "__main__":
    harness.main()
