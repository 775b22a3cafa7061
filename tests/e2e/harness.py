"""What every test here stands on: a postern of its own, with its own uids, ports, mailbox and configuration.

run.sh starts a test file in its runfiles. Everything is made under one directory of /tmp, which mail users can reach. A test
waits for events and conditions with a deadline, never for a time to pass.
"""

import atexit
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import connection
import eventlog
import imap
import junit
import pop3
import processes
from processes import eventually

ROOT = os.geteuid() == 0
ROLES = ("acceptor", "protocolbroker", "tlsworker", "backendlauncher", "logger")  # in the order of their uids
BACKENDS = ("answers", "envdump", "bulk", "record", "counted", "selflogin")
CLIENTS = {"pop3": pop3.Client, "imap": imap.Client}  # by protocol
USER = "demo"
MESSAGES = (
    b"From: a@localhost\nSubject: first\n\nOne line.\n",
    b"From: b@localhost\nSubject: second\n\n.dot\n..dots\nend\n",
    b"From: c@localhost\nSubject: third\n\n" + b"0123456789abcde\n" * 4096,
)


def as_on_the_wire(message):
    """A message as RETR sends it, dots still doubled: one element a line."""
    return [b"." + line if line.startswith(b".") else line for line in message.splitlines()]


class Slot:
    """A number no other test process has at the time, for uids and ports: the holder of an abstract socket's name."""

    def __init__(self):
        for self.number in range(200):
            self._lock = socket.socket(socket.AF_UNIX)
            try:
                self._lock.bind("\0postern-e2e-%d" % self.number)
                break
            except OSError:
                self._lock.close()
        else:
            raise AssertionError("no slot is free")
        self._uids = itertools.cycle(range(71000 + 256 * self.number, 71000 + 256 * (self.number + 1), 8))
        self._port = 10000 + 100 * self.number  # below the range the kernel takes ports from by itself

    def uids(self):
        """The first of eight: five for roles, one for the mailbox, one for an ordinary user, one for another mailbox."""
        return next(self._uids)

    def port(self):
        while True:
            self._port += 1
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self._port))
                    return self._port
                except OSError:
                    pass


class Installation:
    """The programs as installed, courier, the backends of these tests and a certificate; once per test process."""

    def __init__(self):
        self.slot = Slot()
        self.directory = tempfile.mkdtemp(prefix="postern-e2e-", dir="/tmp")
        atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        os.chmod(self.directory, 0o755)
        os.umask(0o022)
        subprocess.run(["tools/stage", ".", self.path("stage")], check=True)
        courier = os.environ.get("POSTERN_COURIER") or "/var/cache/postern/courier"
        subprocess.run(["tools/fetch-courier", courier], check=True)
        shutil.copytree(courier, self.path("courier"), symlinks=True)
        for name in BACKENDS:
            shutil.copy(os.path.realpath("tests/e2e/backends/" + name), self.path(name))
            os.chmod(self.path(name), 0o755)
        self.cert, self.key = self.make_certificate("cert")

    def path(self, name):
        return self.directory + "/" + name

    def make_certificate(self, name):
        cert, key = self.path(name + ".pem"), self.path(name + ".key")
        subprocess.run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj /CN=localhost".split()
            + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "-keyout", key, "-out", cert],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        os.chmod(key, 0o600)
        return cert, key

    def backend(self, name, *arguments):
        """Settings of a service whose backend is one of ours."""
        return {"backend": [self.path(name), *arguments], "environment": None}


_installation = None


def installation():
    global _installation
    if _installation is None:
        _installation = Installation()
    return _installation


def toml(value):
    if isinstance(value, dict):
        return "{ %s }" % ", ".join("%s = %s" % (key, toml(inner)) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(map(toml, value))
    return json.dumps(value)  # strings, numbers and truth look alike in both


def toml_sections(sections):
    """Text of {section: {key: value}}; a value of None is left out."""
    text = ""
    for section, pairs in sections.items():
        text += "[%s]\n" % section
        text += "".join("%s = %s\n" % (key, toml(value)) for key, value in pairs.items() if value is not None)
    return text


def make_maildir(home, uid, messages, folder=""):
    """HOME/Maildir, or a folder in it (".name"), with these messages unread; the whole of HOME becomes the user's."""
    maildir = home + "/Maildir/" + folder
    for name in ("new", "cur", "tmp"):
        os.makedirs(maildir + "/" + name)
    for number, message in enumerate(messages, 1):
        with open("%s/new/170000000%d.%d.localhost" % (maildir, number, number), "wb") as file:
            file.write(message)
    if ROOT:
        for parent, directories, files in os.walk(home):
            for name in [".", *directories, *files]:
                os.chown(os.path.join(parent, name), uid, uid)


def courier_service(protocol, courier):
    """What a service before courier needs of its own: here it is checkpassword that logs in."""
    environment = {"LD_LIBRARY_PATH": courier + "/lib"}
    if protocol == "pop3":
        backend = {"backend": [courier + "/bin/courierpop3d", "Maildir"], "capabilities": ["TOP", "UIDL"]}
    else:
        backend = {"backend": [courier + "/bin/imapd", "Maildir"]}
        environment["GAMIN_DEBUG_SERVER"] = courier + "/bin/gam_server"
    return {**backend, "environment": environment}


class Postern:
    """A state directory, a configuration, and `postern run` on it once start() was called."""

    def __init__(self, service=None, limits=None, ordinary=False, protocol="pop3"):
        """`service` and `limits` change single keys; `ordinary`: root starts it as an ordinary user."""
        self.installation = installation()
        self.protocol = protocol
        slot = self.installation.slot
        uids = slot.uids()
        self.uid = uids + 6 if ordinary else os.geteuid()  # what it is started as
        self.mail_uid = self.uid if self.uid != 0 else uids + 5
        self.role_uids = range(uids, uids + len(ROLES)) if self.uid == 0 else range(0)
        self.other_uid = uids + 7 if self.uid == 0 else None  # of another mailbox
        self.etc_passwd = "/etc/passwd"  # what it sees there
        self.prefix = []  # a command that starts postern, after having entered a namespace for example
        self.arguments = []
        self.pass_fds = ()
        self.password = "Pw" + secrets.token_hex(12)
        self.secrets = [self.password]  # what no log may show
        self.port, self.tls_port = slot.port(), slot.port()
        if protocol == "pop3":
            self.pop3, self.pop3s = self.port, self.tls_port
        else:
            self.imap, self.imaps = self.port, self.tls_port
        self.directory = tempfile.mkdtemp(prefix="state-", dir=self.installation.directory)
        os.chmod(self.directory, 0o755)
        # Programs under a name of its own, by which its processes are known.
        shutil.copytree(self.installation.path("stage"), self.path("stage"), copy_function=os.link)
        self.program = self.path("stage/bin/postern")
        self.home = self.path("home")
        self.maildir = self.home + "/Maildir"
        self.process = self.log = None
        self.log_class = eventlog.EventLog
        self._make_state()
        if protocol == "imap" and self.uid == 0:
            self.name_uids()
        self.settings = self._settings(service or {}, limits or {})
        self.file = self.write("postern.toml", toml_sections(self.settings))
        if ordinary:
            for path in (self.directory, self.path("passwd"), self.path("key.pem")):
                os.chown(path, self.uid, self.uid)
        self._mounts = processes.mounts()

    def path(self, name):
        return self.directory + "/" + name

    def libexec(self, name):
        return self.path("stage/libexec/postern/" + name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as file:
            os.chmod(file.fileno(), mode)
            file.write(text)
        return self.path(name)

    def _make_state(self):
        make_maildir(self.home, self.mail_uid, MESSAGES)
        shutil.copy(self.installation.cert, self.path("cert.pem"))
        shutil.copy(self.installation.key, self.path("key.pem"))
        os.chmod(self.path("key.pem"), 0o600)
        self.cert = self.path("cert.pem")
        self.write_passwd({USER: self.password})

    def write_passwd(self, passwords):
        """All of them users of the one mailbox."""
        lines = [self._passwd_line(user, passwords[user], self.mail_uid, self.home) for user in passwords]
        self.write("passwd", "".join(lines), 0o600)

    def _passwd_line(self, user, password, uid, home):
        # Not yescrypt, as `checkpassword-file --hash` makes it: 300 sessions would wait for its memory.
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True
        ).stdout.strip()
        return "%s:{CRYPT}%s:%d:%d::%s\n" % (user, hashed, uid, uid, home)

    def add_mailbox(self, user, messages):
        """Of another user with another uid, so for root only. The password."""
        password, home = "Pw" + secrets.token_hex(12), self.path("home-of-" + user)
        self.secrets.append(password)
        make_maildir(home, self.other_uid, messages)
        with open(self.path("passwd"), "a", encoding="utf-8") as file:
            file.write(self._passwd_line(user, password, self.other_uid, home))
        return password

    def name_uids(self):
        """Has postern see an /etc/passwd with names for the mailboxes' uids: gam_server, which tells imapd of new mail, serves
        nobody without one."""
        with open("/etc/passwd", encoding="utf-8") as file:
            lines = file.read()
        for uid in (self.mail_uid, self.other_uid):
            lines += "mail-%d:x:%d:%d::/:/bin/false\n" % (uid, uid, uid)
        script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
        unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "name_uids"]
        self.etc_passwd = self.write("etc-passwd", lines)
        self.prefix = [*unshare, self.etc_passwd]

    def _settings(self, service, limits):
        defaults = {
            "protocol": self.protocol,
            "listen": ["127.0.0.1:%d" % self.port, "[::1]:%d" % self.port],
            "listen_tls": ["127.0.0.1:%d" % self.tls_port, "[::1]:%d" % self.tls_port],
            "certificate": "cert.pem",
            "key": "key.pem",
            "checkpassword": [self.libexec("checkpassword-file"), self.path("passwd")],
            **courier_service(self.protocol, self.installation.path("courier")),
        }
        name = "service." + self.protocol
        sections = {"limits": {"sessions": 1000, "drain_seconds": 2, **limits}, name: {**defaults, **service}}
        if self.role_uids:
            sections["roles"] = {"uid_base": self.role_uids[0]}
        return sections

    def become(self):
        """What to call between fork and exec."""
        if self.uid != os.geteuid():
            os.setgroups([])
            os.setgid(self.uid)
            os.setuid(self.uid)

    def launch(self):
        self.process = subprocess.Popen(
            [*self.prefix, self.program, "run", *self.arguments, self.file],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            pass_fds=self.pass_fds,
            preexec_fn=self.become,
        )
        self.log = self.log_class(self.process.stdout)

    def start(self):
        self.launch()
        self.log.wait_for_line("ready")
        return self

    def check(self):
        """`postern check` on the file as it is now: exit status and everything said."""
        done = subprocess.run(
            [*self.prefix, self.program, "check", self.file],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
            preexec_fn=self.become,
        )
        return done.returncode, done.stdout

    # Clients

    def trust(self, **changes):
        return connection.verifying(self.cert, **changes)

    def connect(self, **arguments):
        """On the port with STLS or STARTTLS; greeted."""
        return CLIENTS[self.protocol](self.port, **arguments).greeted()

    def connect_stls(self, **arguments):
        """And inside TLS."""
        return self.connect(**arguments).starttls(self.trust())

    def connect_tls(self, **arguments):
        """On the port with TLS from the start; greeted."""
        return CLIENTS[self.protocol](self.tls_port, tls=self.trust(), **arguments).greeted()

    def logged_in(self, **arguments):
        client = self.connect_stls(**arguments)
        client.login(USER, self.password)
        return client

    def serves(self, seconds):
        """Whether a new client gets as far as a login. A session may fail or take too long; no connection is refused."""
        try:
            with self.logged_in(seconds=seconds) as client:
                client.ok(b"NOOP")
                return True
        except ConnectionRefusedError:
            raise
        except (*connection.BROKEN, AssertionError):
            return False

    def session_of(self, client):
        return self.log.wait("accept", address=client.local[0], port=client.local[1]).session

    def messages(self):
        """Names of the files of the mailbox, flags taken off."""
        names = os.listdir(self.maildir + "/new") + os.listdir(self.maildir + "/cur")
        return sorted(name.partition(":")[0] for name in names)

    def deliver(self, name, home=None, message=MESSAGES[0]):
        """As a Maildir wants it: nobody sees half of a message. `home`: of another mailbox of the same uid."""
        maildir = home + "/Maildir" if home else self.maildir
        path = "%s/tmp/%s" % (maildir, name)
        with open(path, "wb") as file:
            file.write(message)
        if ROOT:
            os.chown(path, self.mail_uid, self.mail_uid)
        os.rename(path, "%s/new/%s" % (maildir, name))

    # Processes

    def processes(self, condition=lambda process: True):
        """All of this postern for which the condition holds, backends and those whose parent has gone included."""
        own = {*self.role_uids, self.mail_uid, self.other_uid} if self.role_uids else set()

        def ours(process):
            if process.zombie():
                return False
            if process.uids() & own:
                return True
            # Of a process in a cage an ordinary user sees no more than the title.
            if process.title().startswith(self.directory + "/") or self._session_of_title(process) in self._sessions():
                return True
            places = (process.program(), process.working_directory())
            return any(place.startswith(self.directory + "/") for place in places)

        return processes.processes(lambda process: ours(process) and condition(process))

    def _sessions(self):
        return {event.session for event in self.log.find("accept")} if self.log else set()

    def _session_of_title(self, process, roles="protocolbroker|tlsworker"):
        """Workers are titled "tlsworker: session 0123abcd". None if it is no worker of those roles."""
        match = re.match(r"(?:%s): session ([0-9a-f]+)" % roles, process.title())
        return int(match[1], 16) if match else None

    def role(self, name):
        """The role's own processes, without the workers it forked."""

        def is_it(process):
            return os.path.basename(process.title().split(" ")[0]) == name

        return self.processes(is_it)

    def worker(self, name, session):
        """The role's worker for this session."""
        return self.processes(lambda process: self._session_of_title(process, name) == session)

    def workers(self):
        """Of all sessions."""
        return self.processes(lambda process: self._session_of_title(process) is not None)

    # The end

    def stop(self, seconds=30):
        """TERM, and nothing may stay. The exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.gone(seconds)

    def gone(self, seconds=30):
        """Waits for the end; after it there is no process and no mount of this postern. The exit status."""
        status = self.process.wait(seconds)
        eventually(lambda: not self.processes(), lambda: "processes stay: %s" % self.processes(), 5)
        self.log.until(lambda: self.log.ended, "end of the log", 5)
        left = processes.mounts() - self._mounts
        if left:
            raise AssertionError("mounts stay: %s" % left)
        return status

    def discard(self):
        """For the end of a test, whatever happened: kills what stop() should have ended."""
        if self.process:
            for process in self.processes():
                try:
                    os.kill(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class PosternTest(unittest.TestCase):
    """Base of all tests. What start() returned is stopped after the test and must end well."""

    PROTOCOL = "pop3"  # of a service for which a test asks for no other

    def setUp(self):
        self.installation = installation()
        self.posterns = []

    def prepare(self, **settings):
        postern = Postern(**{"protocol": self.PROTOCOL, **settings})
        self.posterns.append(postern)
        self.addCleanup(postern.discard)
        return postern

    def start(self, **settings):
        postern = self.prepare(**settings)
        self.addCleanup(self.end, postern)
        return postern.start()

    def end(self, postern):
        """Called after the test; a test that ended postern in another way has nothing to fear from it."""
        ended_before = postern.process.poll() is not None
        status = postern.stop()
        if not ended_before:
            self.assertEqual(status, 0, postern.log.text())
        self.check_log(postern)

    def check_log(self, postern):
        self.assertEqual(postern.log.malformed(), [])
        for secret in postern.secrets:
            self.assertNotIn(secret, postern.log.text())

    def assert_ok(self, reply):
        self.assertTrue(reply.startswith(b"+OK"), reply)

    def assert_err(self, reply):
        self.assertTrue(reply.startswith(b"-ERR"), reply)

    def assert_closed(self, client):
        """The server has closed, or does so within the client's time-out, and said nothing more."""
        self.assertEqual(client.rest(), b"")


def main():
    """For the end of each test file."""
    junit.main(sys.modules["__main__"])
