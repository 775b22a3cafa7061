"""Users of /etc/passwd, by the checkpassword of Debian's package fgetty: it runs as root with the launcher's three
capabilities and reads /etc/shadow as its owner."""

import os
import secrets
import subprocess
import unittest

import harness
from harness import MESSAGES, ROOT, as_on_the_wire, eventually

CHECKPASSWORD = "/bin/checkpassword.login"


@unittest.skipUnless(ROOT, "only root can make accounts and read their passwords")
@unittest.skipUnless(os.access(CHECKPASSWORD, os.X_OK), "the package fgetty is not installed")
class SystemAccountTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.user = "postern-" + secrets.token_hex(4)
        self.addCleanup(self.remove_account)  # the last thing: postern and all it started has ended then
        self.postern = self.start(service={"checkpassword": [CHECKPASSWORD]})
        self.make_account()

    def make_account(self):
        """An account whose home is the mailbox of this postern."""
        uid = str(self.postern.mail_uid)
        self.account("groupadd", "--gid", uid, self.user)
        self.account(
            "useradd", "--no-create-home", "--home-dir", self.postern.home, "--uid", uid, "--gid", uid,
            "--groups", "mail", "--shell", "/usr/sbin/nologin", self.user,
        )  # fmt: skip
        self.account("chpasswd", text="%s:%s\n" % (self.user, self.postern.password))

    def remove_account(self):
        # userdel takes the group of the same name with it, unless the test has not got as far as the user.
        for file, command in (("passwd", "userdel"), ("group", "groupdel")):
            if self.is_in(file):
                self.account(command, self.user)
        self.assertFalse([file for file in ("passwd", "group", "shadow", "gshadow") if self.is_in(file)])

    def is_in(self, name):
        with open("/etc/" + name, encoding="utf-8") as file:
            return self.user in file.read()

    def account(self, *command, text=""):
        # Other tests may hold the lock of /etc/passwd for a moment.
        def done():
            status = subprocess.run(command, input=text, text=True, capture_output=True, timeout=60, check=False)
            said.append(status.stderr)
            return status.returncode == 0

        said = []
        eventually(done, lambda: "%s: %s" % (command, said[-1]))

    def test_mail_is_served_to_the_account(self):
        for client in (self.postern.connect_stls(), self.postern.connect_tls()):
            with client:
                self.assertEqual(client.login(self.user, self.postern.password), b"+OK logged in.")
                client.ok(b"RETR 1")
                self.assertEqual(client.lines(), as_on_the_wire(MESSAGES[0]))
                (server,) = self.postern.processes(lambda process: process.program().endswith("/courierpop3d"))
                status = server.status()
                self.assertEqual(status["Uid"].split(), [str(self.postern.mail_uid)] * 4)
                self.assertEqual(len(status["Groups"].split()), 2)  # all of the account's, by setgroups
                self.assertEqual(status["CapEff"], "0" * 16)
                client.ok(b"QUIT")
                self.assert_closed(client)
                session = self.postern.session_of(client)
            self.postern.log.wait("login", user=self.user, session=session)
            self.postern.log.wait("backend_end", session=session, status=0)

    def test_wrong_password_unknown_and_locked_accounts(self):
        attempts = ((self.user, "wrong"), (self.user + "x", self.postern.password), ("root", "x"))
        with self.postern.connect_tls() as client:
            for user, password in attempts:
                client.ok(b"USER " + user.encode())
                self.assert_err(client.command(b"PASS " + password.encode()))
        self.postern.log.wait("login_failed", why="rejected", count=len(attempts))
        self.account("usermod", "--lock", self.user)
        with self.postern.connect_tls() as client:
            client.ok(b"USER " + self.user.encode())
            self.assert_err(client.command(b"PASS " + self.postern.password.encode()))
        self.assertEqual(self.postern.log.find("login"), [])


if __name__ == "__main__":
    harness.main()
