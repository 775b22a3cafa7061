"""The stand-ins for qmail's POP3 programs are what they say they are: without postern, on a socketpair."""

import hashlib
import os
import socket
import subprocess

import harness
import pop3
from harness import MESSAGES, ROOT, USER
from qmail import FAILED, GREETING, QmailTest


class Dialogue:
    """A program on one end of a socketpair."""

    def __init__(self, test, command, postern, closed=()):
        self.sock, its = socket.socketpair()
        self.sock.settimeout(30)

        def before_exec():
            if command[0].endswith("qmail-pop3d") and ROOT:
                os.setgroups([])
                os.setgid(postern.mail_uid)
                os.setuid(postern.mail_uid)
            os.chdir(postern.home)
            for number in closed:
                os.close(number)

        # Not /dev/null as standard error: closed means closed.
        self.process = subprocess.Popen(command, stdin=its, stdout=its, preexec_fn=before_exec)
        its.close()
        test.addCleanup(self.process.wait)
        test.addCleanup(self.sock.close)

    line = pop3.Client.line
    lines = pop3.Client.lines
    send = pop3.Client.send
    rest = pop3.Client.rest
    command = pop3.Client.command
    ok = pop3.Client.ok
    login = pop3.Client.login


class StandInsTest(QmailTest):
    def setUp(self):
        super().setUp()
        self.postern = self.prepare()

    def open_popup(self, **how):
        dialogue = Dialogue(self, self.popup(self.checkpassword_apop(self.postern)), self.postern, **how)
        greeting = dialogue.line()
        self.assertRegex(greeting, GREETING)
        dialogue.timestamp = greeting[len(b"+OK ") :]
        return dialogue

    def open_pop3d(self):
        dialogue = Dialogue(self, self.pop3d(), self.postern)
        self.assertEqual(dialogue.line(), b"+OK ")
        return dialogue

    def test_login(self):
        dialogue = self.open_popup()
        self.assertEqual(dialogue.command(b"CAPA"), b"-ERR authorization first")
        self.assertEqual(dialogue.login(USER, self.postern.password), b"+OK ")
        self.read_everything(dialogue)
        dialogue.ok(b"QUIT")
        self.assertEqual(dialogue.rest(), b"")
        self.assertEqual(dialogue.process.wait(30), 0)

    def test_a_rejected_login_ends_the_connection(self):
        dialogue = self.open_popup()
        dialogue.ok(b"USER x")
        self.assertEqual(dialogue.command(b"PASS wrong"), FAILED)
        self.assertEqual(dialogue.rest(), b"")

    def test_apop(self):
        dialogue = self.open_popup()
        digest = hashlib.md5(dialogue.timestamp + self.postern.password.encode()).hexdigest()
        self.assertEqual(dialogue.command(b"APOP x " + digest.encode()), b"+OK ")
        dialogue.ok(b"STAT")

    def test_what_is_pipelined_behind_pass_is_lost(self):
        dialogue = self.open_popup()
        dialogue.send(b"USER x\r\nPASS %s\r\nSTAT\r\n" % self.postern.password.encode())
        self.assertEqual([dialogue.line(), dialogue.line()], [b"+OK ", b"+OK "])
        self.assertEqual(dialogue.command(b"NOOP x"), b"+OK ")  # STAT would have been answered with numbers

    def test_descriptors_0_to_2_must_be_open(self):
        dialogue = self.open_popup(closed=(2,))
        dialogue.ok(b"USER x")
        self.assertRegex(dialogue.command(b"PASS x"), rb"^-ERR unable to ")
        self.assertEqual(dialogue.rest(), b"")

    def test_pop3d_refuses_root(self):
        if not ROOT:
            self.skipTest("needs root to be refused")
        done = subprocess.run(self.pop3d(), cwd=self.postern.home, input=b"", stdout=subprocess.PIPE, check=False)
        self.assertEqual((done.stdout[:4], done.returncode), (b"-ERR", 1))

    def test_pop3d_obeys_whole_lines_and_deletes_at_quit(self):
        for last, deleted in ((b"QUI", 0), (b"QUIT", 0), (b"RSET\r\nQUIT\r\n", 0), (b"QUIT\r\n", 1)):
            dialogue = self.open_pop3d()
            dialogue.ok(b"DELE 2")
            self.assert_err(dialogue.command(b"RETR 2"))
            self.assert_err(dialogue.command(b"CAPA"))
            dialogue.send(last)
            dialogue.sock.shutdown(socket.SHUT_WR)
            dialogue.rest()
            dialogue.process.wait(30)
            self.assertEqual(len(self.postern.messages()), len(MESSAGES) - deleted, last)


del QmailTest  # only its children are tests

if __name__ == "__main__":
    harness.main()
