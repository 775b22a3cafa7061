"""The demo of ./run: what it makes, and the commands it prints, pasted."""

import hashlib
import os
import re
import shutil
import subprocess

import harness
from harness import ROOT

DIALOGUE = b"USER demo\nPASS demo\nLIST\nRETR 1\nQUIT\n"
SUBJECT = b"Subject: You are reading this over TLS"


class DemoTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        self.postern = self.prepare()  # for its ports and its ways to start and end; the demo makes the rest
        state = self.state = self.postern.path("demo")
        subprocess.run(["tools/stage", ".", state + "/stage"], check=True)
        shutil.copytree(self.installation.path("courier"), state + "/courier", symlinks=True)
        slot = self.installation.slot
        self.ports = [str(port) for port in (self.postern.pop3, self.postern.pop3s, slot.port(), slot.port())]
        self.said = self.demo_state()
        self.postern.file = state + "/postern.toml"
        self.postern.cert = state + "/cert.pem"
        self.postern.password = "demo"
        self.postern.secrets = []
        self.postern.role_uids = range(0)  # the demo's own; another demo may be running

    def demo_state(self):
        command = ["tools/demo-state", "--ports", *self.ports, self.state]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def digests(self):
        found = {}
        for parent, _, files in os.walk(self.state):
            for name in files:
                path = os.path.join(parent, name)
                with open(path, "rb") as file:
                    found[path] = hashlib.sha256(file.read()).hexdigest(), os.stat(path).st_mode
        return found

    def test_the_printed_commands_work(self):
        self.addCleanup(self.end, self.postern)
        self.postern.start()
        commands = re.findall(r"^  (\w.*)$", self.said, re.MULTILINE)
        self.assertEqual(len(commands), 8, self.said)
        for command in commands:
            with self.subTest(command=command):
                text = DIALOGUE if command.startswith("openssl") else b""
                done = subprocess.run(["/bin/sh", "-c", command], input=text, capture_output=True, timeout=30, check=False)
                self.assertEqual(done.returncode, 0, done)
                listed = {"pop3s://": b"1 ", "imaps://": SUBJECT.removeprefix(b"Subject: ")}
                wanted = [text for scheme, text in listed.items() if scheme in command] or [SUBJECT]
                self.assertIn(wanted[0], done.stdout)
        self.assertIn(self.state + "/mail/demo/Maildir", self.said)
        self.postern.log.wait("login", service="pop3", count=5)
        self.postern.log.wait("login", service="imap", count=3)

    def test_made_once(self):
        before = self.digests()
        self.assertEqual(self.demo_state(), self.said)
        self.assertEqual(self.digests(), before)
        os.unlink(self.state + "/passwd")  # what was removed is made again, and nothing else
        self.demo_state()
        after = self.digests()
        self.assertEqual({path for path in after if after[path] != before[path]}, {self.state + "/passwd"})

    def test_modes(self):
        for name, mode in (("key.pem", 0o600), ("passwd", 0o600), ("cert.pem", 0o644), ("mail/demo", 0o700)):
            self.assertEqual(os.stat(self.state + "/" + name).st_mode & 0o777, mode, name)
        with open(self.state + "/passwd", encoding="utf-8") as file:
            self.assertRegex(file.read(), r"^demo:\{CRYPT\}\$y\$[^:]+:\d+:\d+::/.*/mail/demo\n$")

    def test_a_mailbox_nobody_can_reach_is_refused(self):
        closed = self.postern.path("closed")
        os.mkdir(closed, 0o700)
        if not ROOT:
            self.skipTest("an ordinary user's mailbox is its own")
        done = subprocess.run(["tools/demo-state", closed + "/state"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 100)
        self.assertIn("cannot reach", done.stderr)


if __name__ == "__main__":
    harness.main()
