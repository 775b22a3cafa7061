"""What tests with the stand-ins for qmail's POP3 programs share."""

import os
import shutil

import clients
import harness
from harness import MESSAGES, as_on_the_wire

GREETING = rb"^\+OK (<\d+\.\d+@mail\.example>)$"  # pid and time
FAILED = b"-ERR authorization failed"


class QmailTest(harness.PosternTest):
    def setUp(self):
        super().setUp()
        for name in ("qmail-popup", "qmail-pop3d", "checkpassword-apop"):
            shutil.copy(os.path.realpath("tests/e2e/backends/" + name), self.installation.path(name))

    def popup(self, checkpassword):
        return [self.installation.path("qmail-popup"), "mail.example", *checkpassword, *self.pop3d()]

    def pop3d(self):
        return [self.installation.path("qmail-pop3d"), "Maildir"]

    def checkpassword_apop(self, postern):
        return [self.installation.path("checkpassword-apop"), postern.password, str(postern.mail_uid), postern.home]

    def start_popup(self, apop=False, **service):
        """login = "backend", with checkpassword-file or one that knows APOP."""
        postern = self.prepare(service={"login": "backend", "checkpassword": None, "environment": None, "capabilities": None, **service})
        settings = postern.settings["service.pop3"]
        accepts = [postern.libexec("checkpassword-file"), postern.path("passwd")]
        settings["backend"] = self.popup(self.checkpassword_apop(postern) if apop else accepts)
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        self.addCleanup(self.end, postern)
        return postern.start()

    def read_everything(self, client):
        self.assertTrue(client.ok(b"STAT").startswith(b"+OK %d " % len(MESSAGES)))
        for number, message in enumerate(MESSAGES, 1):
            client.ok(b"RETR %d" % number)
            self.assertTrue(client.lines() == as_on_the_wire(message), number)
        client.ok(b"TOP 1 0")
        self.assertEqual(client.lines(), as_on_the_wire(MESSAGES[0])[:3])
        client.ok(b"UIDL")
        self.assertEqual(len(client.lines()), len(MESSAGES))

    def check_clients(self, postern, fetchmail_stls=True):
        """Real ones."""
        listing = clients.curl(postern, "pop3s://localhost:%d/" % postern.pop3s)
        self.assertEqual(len(listing.splitlines()), len(MESSAGES))
        first = clients.curl(postern, "pop3://localhost:%d/1" % postern.pop3, "--ssl-reqd")
        self.assertEqual(first, MESSAGES[0].replace(b"\n", b"\r\n"))
        how = (postern.pop3, 'sslproto "TLS1.2+"') if fetchmail_stls else (postern.pop3s, "ssl")
        self.assertEqual(clients.fetchmail(postern, *how).count(b"=end="), len(MESSAGES))
        messages, _ = clients.mpop(postern, postern.pop3s, "off")
        self.assertEqual(len(messages), len(MESSAGES))
        self.assertEqual(len(postern.messages()), len(MESSAGES))
