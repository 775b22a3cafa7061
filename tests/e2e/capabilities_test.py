"""What is announced before the login is what the backend says of itself: it is asked when postern starts, in a cage."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import dovecot
import harness
import processes
import qmail
from harness import ROOT, USER, eventually

POSTERNS_OWN = ["RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]  # what CAPA lists of the broker's, login by checkpassword
BY_BACKEND = {"login": "backend", "checkpassword": None, "capabilities": None}


def files_below(directory):
    return sorted(os.path.join(parent, name) for parent, _, names in os.walk(directory) for name in names)


class CapabilitiesTest(harness.PosternTest):
    def start_answers(self, *arguments):
        """Behind checkpassword, the backend that misbehaves as told."""
        service = {"capabilities": None, **self.installation.backend("answers", *arguments)}
        return self.start(service=service)

    def with_service(self, postern, name, **settings):
        """A second service like the first."""
        ports = {"listen": ["127.0.0.1:%d" % self.installation.slot.port()], "listen_tls": None}
        postern.settings["service." + name] = {**postern.settings["service." + postern.protocol], **ports, **settings}
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        return postern

    def started(self, postern):
        self.addCleanup(self.end, postern)
        return postern.start()

    def unknown(self, postern, why):
        """postern announces the least there is, and serves."""
        postern.log.wait("capabilities_unknown", service=postern.protocol, why=why, role="protocolbroker")
        with postern.connect() as client:
            self.assertEqual(client.capabilities(), [*POSTERNS_OWN, "STLS"])


class CourierTest(CapabilitiesTest):
    def test_courierpop3d(self):
        postern = self.prepare(service={"capabilities": None})
        before = files_below(postern.home)
        self.started(postern)
        eventually(lambda: not postern.role("probe"), "the end of the probe", 5)
        self.assertEqual(files_below(postern.home), before)
        learned = ["TOP", "LOGIN-DELAY 10", "UIDL", "IMPLEMENTATION Courier Mail Server"]
        self.assertEqual(postern.log.wait("capabilities", service="pop3").fields["list"], ", ".join(learned))
        with postern.connect() as client:
            self.assertEqual(client.capabilities(), [*learned, *POSTERNS_OWN, "STLS"])
            client.stls(postern.trust())
            self.assertEqual(client.capabilities(), [*learned, *POSTERNS_OWN, "SASL PLAIN LOGIN", "USER"])
            client.login(USER, postern.password)
            self.assertLessEqual(set(learned), set(client.capabilities()))

    def test_courierpop3login(self):
        postern = self.prepare(service=BY_BACKEND)
        programs = self.installation.path("courier") + "/bin/"
        backend = [programs + "courierpop3login", programs + "courierpop3d", "Maildir"]
        postern.settings["service.pop3"]["backend"] = backend
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        self.started(postern)
        with postern.connect() as client:
            before = client.capabilities()
            learned = ["TOP", "LOGIN-DELAY 10", "PIPELINING", "UIDL", "IMPLEMENTATION Courier Mail Server"]
            self.assertEqual(before, [*learned, "STLS"])
            client.stls(postern.trust())
            # Inside TLS it answers itself: the learned list is for before.
            inside = client.capabilities()
            self.assertIn("UTF8 USER", inside)
            self.assertLessEqual(set(learned), set(inside))

    def test_imapd(self):
        postern = self.prepare(protocol="imap")
        before = files_below(postern.home)
        self.started(postern)
        self.assertEqual(files_below(postern.home), before)
        learned = postern.log.wait("capabilities", service="imap").fields["list"].split()
        self.assertIn("IMAP4rev1", learned)
        with postern.connect() as client:
            self.assertIn(b"[CAPABILITY %s STARTTLS LOGINDISABLED]" % " ".join(learned).encode(), client.greeting)
            self.assertEqual(client.capabilities(), [*learned, "STARTTLS", "LOGINDISABLED"])
            client.starttls(postern.trust())
            self.assertEqual(client.capabilities()[: len(learned)], learned)
            client.login(USER, postern.password)
            self.assertLessEqual(set(learned), set(client.capabilities()))

    def test_imapd_that_is_told_what_to_say(self):
        postern = self.prepare(protocol="imap")
        said = "IMAP4rev1 CHILDREN NAMESPACE THREAD=REFERENCES SORT IDLE"
        postern.settings["service.imap"]["environment"]["IMAP_CAPABILITY"] = said
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        self.started(postern)
        with postern.connect_stls() as client:
            self.assertEqual(client.capabilities()[:6], said.split())

    def test_imaplogin(self):
        courier = self.installation.path("courier")
        backend = [courier + "/bin/imaplogin", courier + "/bin/imapd", "Maildir"]
        postern = self.start(protocol="imap", service={**BY_BACKEND, "backend": backend})
        learned = postern.log.wait("capabilities", service="imap").fields["list"].split()
        self.assertIn("IMAP4rev1", learned)
        with postern.connect() as client:
            self.assertEqual(client.capabilities(), [*learned, "STARTTLS", "LOGINDISABLED"])

    def test_by_an_ordinary_user(self):
        if not ROOT:
            self.skipTest("the other tests are that")
        postern = self.start(service={"capabilities": None}, ordinary=True)
        self.assertTrue(postern.log.wait("capabilities").fields["list"].startswith("TOP, "))
        with postern.logged_in() as client:
            client.ok(b"STAT")


class DovecotTest(CapabilitiesTest):
    def test_imap(self):
        postern = self.start(protocol="imap", service=dovecot.service(self.installation))
        learned = postern.log.wait("capabilities", service="imap").fields["list"].split()
        self.assertLessEqual({"IMAP4rev1", "ID", "ENABLE", "IDLE", "LITERAL+", "SORT"}, set(learned))
        with postern.connect() as client:
            self.assertEqual(client.capabilities(), [*learned, "STARTTLS", "LOGINDISABLED"])
            client.starttls(postern.trust())
            client.login(USER, postern.password)
            self.assertLessEqual(set(learned), set(client.capabilities()))


class QmailTest(CapabilitiesTest, qmail.QmailTest):
    def test_qmail_popup(self):
        postern = self.start_popup()
        postern.log.wait("capabilities_unknown", service="pop3", why="refused")
        with postern.connect() as client:
            self.assertEqual(client.capabilities(), ["STLS"])


class ConfiguredTest(CapabilitiesTest):
    def test_a_configured_list_overrides(self):
        postern = self.start()
        with postern.connect() as client:
            self.assertEqual(client.capabilities(), ["TOP", "UIDL", *POSTERNS_OWN, "STLS"])
        self.assertEqual(postern.log.find("capabilities") + postern.log.find("capabilities_unknown"), [])

    def test_so_does_an_empty_one(self):
        postern = self.start(service={"capabilities": []})
        with postern.connect() as client:
            self.assertEqual(client.capabilities(), [*POSTERNS_OWN, "STLS"])
        self.assertEqual(postern.log.find("capabilities") + postern.log.find("capabilities_unknown"), [])

    def test_an_empty_one_leaves_a_backend_that_knows_capa_alone(self):
        settings = {**BY_BACKEND, "capabilities": [], **self.installation.backend("selflogin", "x")}
        postern = self.start(service=settings)
        with postern.connect_stls() as client:
            self.assertEqual(client.command(b"CAPA"), b"-ERR authorization first")  # nobody is in between


class MisbehavedTest(CapabilitiesTest):
    def test_one_that_dies(self):
        self.unknown(self.start_answers("dies"), "closed")

    def test_one_that_cannot_be_started(self):
        postern = self.prepare(service={"capabilities": None})
        program = postern.write("no-interpreter", "#!/nonexistent/interpreter\n", 0o755)
        postern.settings["service.pop3"]["backend"] = [program]
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        self.started(postern)
        postern.log.wait("exec_failed", role="probe", program=program[:63] if len(program) > 64 else program)
        self.unknown(postern, "closed")

    def test_one_that_refuses(self):
        self.unknown(self.start_answers("busy"), "refused")

    def test_one_that_says_megabytes(self):
        self.unknown(self.start_answers("endless"), "refused")

    def test_one_that_knows_no_line_ends(self):
        self.unknown(self.start_answers("long"), "line_too_long")

    def test_some_that_take_too_long_do_not_keep_others_from_being_heard(self):
        started = time.monotonic()
        postern = self.prepare(service={"capabilities": None})
        for name, mode in (("silent", "silent"), ("mute", "mute"), ("drip", "drip")):
            self.with_service(postern, name, **self.installation.backend("answers", mode))
        self.started(postern)
        self.assertLess(time.monotonic() - started, 15)
        for name in ("silent", "mute"):
            postern.log.wait("capabilities_unknown", service=name, why="time")
        postern.log.wait("capabilities_unknown", service="drip")
        postern.log.wait("capabilities", service="pop3")
        with postern.logged_in() as client:
            client.ok(b"STAT")

    @unittest.skipUnless(harness.ROOT, "only root sees the descriptors of all")
    def test_who_asks_it_has_no_way_to_other_roles(self):
        postern = self.prepare(service={"capabilities": None, **self.installation.backend("answers", "silent")})
        self.addCleanup(self.end, postern)
        postern.launch()
        asks = lambda: {process.pid: process for process in postern.role("protocolbroker")}
        eventually(lambda: len(asks()) == 2, asks)
        (child,) = (process for process in asks().values() if int(process.status()["PPid"]) in asks())
        sockets = lambda: [name for name in child.descriptors().values() if name.startswith("socket:")]
        eventually(lambda: len(sockets()) == 3, sockets, 2)  # supervisor, log, and the backend's
        postern.log.wait_for_line("ready")

    def test_what_is_none_is_left_out(self):
        postern = self.start_answers("odd")
        with postern.connect() as client:
            told = ["TOP", "UIDL", *("X-%d" % number for number in range(10))]
            self.assertEqual(client.capabilities(), [*told, *POSTERNS_OWN, "STLS"])

    def test_a_broker_that_is_started_again_asks_again(self):
        postern = self.start(service={"capabilities": None})
        (old,) = postern.role("protocolbroker")
        os.kill(old.pid, signal.SIGKILL)
        postern.log.wait("capabilities", service="pop3", count=2)
        eventually(lambda: postern.serves(5), "a login")
        with postern.connect() as client:
            self.assertIn("LOGIN-DELAY 10", client.capabilities())


class CageTest(CapabilitiesTest):
    def backends(self, mark):
        """Those that have this among their arguments."""
        return processes.processes(lambda process: re.match("[^ ]*python[^ ]* .*answers .*" + mark, process.title()))

    def check_control(self, command, outside):
        """Where there is no cage all of it works, so that its failure inside means something."""
        for path in outside:
            self.assertEqual(os.path.exists(path), path.endswith("passwd"), path)
        home = self.posterns[-1].home
        done = subprocess.run(command, input=b"CAPA\r\nQUIT\r\n", capture_output=True, cwd=home, check=True)
        (tried,) = [line for line in done.stdout.decode().split("\r\n") if line.startswith("X-TRIED ")]
        self.assertEqual({pair.split("=")[1] for pair in tried.split(" ")[1:]}, {"worked"}, tried)
        for path in outside:
            os.unlink(path)

    def check_cage(self, ordinary):
        abstract = "postern-probe-test-%d-%d" % (os.getpid(), ordinary)
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
            unix.bind("\0" + abstract)
            unix.listen()
            postern = self.prepare(service={"capabilities": None}, ordinary=ordinary)
            mailbox = postern.maildir + "/new/planted"
            outside = ["/tmp/" + abstract, "/dev/shm/" + abstract]
            outside += [mailbox, postern.path("passwd"), postern.directory + "/planted"]
            arguments = (str(server.getsockname()[1]), abstract, str(os.getpid()), *outside)
            backend = self.installation.backend("answers", "attack", *arguments)
            postern.settings["service.pop3"].update(backend)
            postern.write("postern.toml", harness.toml_sections(postern.settings))
            self.started(postern)
            with postern.connect() as client:
                found = dict(line.split(" ", 1) for line in client.capabilities() if line.startswith("X-"))
            backend["backend"][1] = "control"
            self.check_control(backend["backend"], outside)
        tried = dict(pair.split("=") for pair in found["X-TRIED"].split(" "))
        for name, wanted in (
            ("network", "errno-101"), ("abstract", "errno-111"), ("signal", "errno-3"), ("mount", "signal-31"),
            ("home", "worked"),
            ("root", "errno-22" if postern.uid else "errno-1"),  # nobody is called 0 in an ordinary user's namespace
        ):  # fmt: skip
            self.assertEqual(tried.pop(name), wanted, name)
        self.assertEqual(len(tried), len(outside))
        for name, what in tried.items():
            self.assertIn(what, ("errno-30", "errno-13"), (name, outside))  # EROFS, EACCES
        self.assertEqual(tried["write-0"], "errno-30")
        # What it detached from itself has ended with it, and its home with both.
        eventually(lambda: not self.backends(abstract), lambda: "%s stay" % self.backends(abstract), 5)
        self.assertNotIn("mine", os.listdir("/run"))
        return postern, found

    @unittest.skipUnless(ROOT, "an ordinary user's is the other test")
    def test_started_by_root(self):
        _, found = self.check_cage(False)
        self.assertEqual(found["X-UID"], "65534")
        self.assertEqual(found["X-RUN"], "mine")
        self.assertLess(int(found["X-PROCESSES"]), 10)

    def test_started_by_an_ordinary_user(self):
        postern, found = self.check_cage(ROOT)
        self.assertEqual(found["X-UID"], str(postern.uid))
        self.assertEqual(found["X-RUN"], "mine")

    def test_it_ends_with_postern(self):
        """While it is being asked: the supervisor is killed, and later ended."""
        for number in (signal.SIGKILL, signal.SIGTERM):
            mark = "mark-%d-%d" % (os.getpid(), number)
            backend = self.installation.backend("answers", "silent", mark)
            postern = self.prepare(service={"capabilities": None, **backend})
            postern.launch()
            eventually(lambda: self.backends(mark), "the backend")
            postern.process.send_signal(number)
            postern.process.wait(20)
            eventually(lambda: not self.backends(mark), lambda: "%s stay" % self.backends(mark), 5)
            eventually(lambda: not postern.processes(), lambda: "%s stay" % postern.processes(), 5)


class Server(threading.Thread):
    """Listens, and keeps what its clients send; each is told the same."""

    def __init__(self, *answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.sessions = []
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            heard = bytearray()
            self.sessions.append(heard)
            with client:
                for wait_for, answer in self.answers:
                    while wait_for not in heard:
                        octets = client.recv(4096)
                        if not octets:
                            break
                        heard += octets
                    client.sendall(answer)
                while octets := client.recv(4096):
                    heard += octets


class ConnectTest(CapabilitiesTest):
    def settings(self, address, **more):
        return {**BY_BACKEND, "backend": None, "environment": None, "connect": address, **more}

    def pop3(self, before=b""):
        server = Server((before, b"+OK hello\r\n"), (b"CAPA\r\n", b"+OK\r\nTOP\r\nX-SERVER one\r\n.\r\n"))
        self.addCleanup(server.sock.close)
        return server

    def test_a_server_on_a_socket(self):
        for version, header in ((None, b""), ("v1", b"PROXY UNKNOWN\r\n"), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")):
            server = self.pop3(header)
            postern = self.start(service=self.settings(server.address, proxy_protocol=version))
            with postern.connect() as client:
                self.assertEqual(client.capabilities(), ["TOP", "X-SERVER one", "STLS"])
            eventually(lambda: server.sessions[0].endswith(b"QUIT\r\n"), lambda: server.sessions)
            self.assertEqual(server.sessions[0], header + b"CAPA\r\nQUIT\r\n")

    def test_imap(self):
        told = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN IDLE\r\np OK\r\n"
        server = Server((b"", b"* OK hello\r\n"), (b"p CAPABILITY\r\n", told))
        self.addCleanup(server.sock.close)
        postern = self.start(protocol="imap", service=self.settings(server.address))
        with postern.connect() as client:
            self.assertEqual(client.capabilities(), ["IMAP4rev1", "IDLE", "STARTTLS", "LOGINDISABLED"])

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = "127.0.0.1:%d" % server.getsockname()[1]
        for nobody in (address, "/run/no-such-socket"):
            postern = self.start(service=self.settings(nobody))
            postern.log.wait("capabilities_unknown", why="closed")
            with postern.connect() as client:
                self.assertEqual(client.capabilities(), ["STLS"])

    def test_check_asks_nobody(self):
        server = self.pop3()
        postern = self.prepare(service=self.settings(server.address))
        self.assertEqual(postern.check()[0], 0)
        self.assertEqual(server.sessions, [])


if __name__ == "__main__":
    harness.main()
