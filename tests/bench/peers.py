"""postern, stunnel and courier, each with its ports, its meter, and the same two mailboxes behind it."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import authdaemon
import harness
import meter

USERS = ("demo", "big")  # three small messages; one large one
PASSWORD = "Pw-of-the-benchmark"
HASH_SETTING = "$5$rounds=1000$postern$"  # SHA-256-crypt: the cheapest that all accept, so that it hides least


def hashed(password):
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return crypt(password.encode(), HASH_SETTING.encode()).decode()


def cache_libraries(installation):
    """courierpop3d is to find its libraries as if it were installed, not by a search that costs more than it does."""
    conf, cache = installation.path("ld.so.conf"), installation.path("ld.so.cache")
    with open(conf, "w", encoding="utf-8") as file:
        file.write("include /etc/ld.so.conf.d/*.conf\n%s/lib\n" % installation.path("courier"))
    subprocess.run(["/sbin/ldconfig", "-X", "-f", conf, "-C", cache], check=True)
    subprocess.run(["mount", "--bind", cache, "/etc/ld.so.cache"], check=True)


class Mail:
    """Homes of both users, and the hash of their password."""

    def __init__(self, directory, big_octets, uid):
        self.uid = uid
        self.hash = hashed(PASSWORD)
        self._source = directory + "/messages"
        os.mkdir(self._source)
        line = b"The quick brown fox jumps over the lazy dog; then it does so once more.\n"
        head = b"From: a@localhost\nSubject: large\n\n"
        self._write("big.0", head + line * (big_octets // len(line)))
        for number, message in enumerate(harness.MESSAGES):
            self._write("demo.%d" % number, message)

    def _write(self, name, octets):
        with open(self._source + "/" + name, "wb") as file:
            file.write(octets)

    def make_homes(self, place):
        """PLACE/USER/Maildir; messages are links to the one copy there is."""
        for user in USERS:
            home = place + "/" + user
            for name in ("new", "cur", "tmp"):
                os.makedirs(home + "/Maildir/" + name)
            for name in sorted(os.listdir(self._source)):
                if name.startswith(user + "."):
                    os.link(self._source + "/" + name, home + "/Maildir/cur/1700000000.%s.localhost:2," % name)
            for parent, directories, files in os.walk(home):
                for name in [".", *directories, *files]:
                    os.chown(os.path.join(parent, name), self.uid, self.uid)


def userdb(mail, homes):
    """What makeuserdb(8) makes of a userdb, as makedatprog wants it: {file: lines}."""
    who = "uid=%d|gid=%d" % (mail.uid, mail.uid)
    return {
        "userdb": "".join("%s\t%s|home=%s/%s|mail=%s/%s/Maildir\n" % (u, who, homes, u, homes, u) for u in USERS),
        "userdbshadow": "".join("%s\tsystempw=%s\n" % (user, mail.hash) for user in USERS),
    }


class Peer:
    name = "?"
    backend = "courierpop3d"  # what its processor time is subtracted as, in the bulk measurement

    def __init__(self, directory):
        self.directory = tempfile.mkdtemp(prefix=self.name + "-", dir=directory)
        os.chmod(self.directory, 0o755)
        self.meter = meter.make_meter()
        self.ports = {}  # "implicit", "stls"; "login": implicit, where the backend can be reached
        self.logins = True  # asks for a password
        self._processes = []

    def path(self, name):
        return self.directory + "/" + name

    def spawn(self, arguments, root=None, **options):
        def enter():
            self.meter.enter()
            if root:
                os.chroot(root)
                os.chdir("/")

        with open(self.path("log"), "ab") as log:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=enter, **options
            )
        if isinstance(self.meter, meter.ProcMeter):
            self.meter.adopt(process.pid)
        self._processes.append(process)
        return process

    def wait_for_ports(self, seconds=20):
        deadline = time.monotonic() + seconds
        for port in self.ports.values():
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 5).close()
                    break
                except ConnectionRefusedError:
                    if time.monotonic() > deadline or any(process.poll() is not None for process in self._processes):
                        with open(self.path("log"), encoding="latin-1") as log:
                            raise RuntimeError("%s does not start:\n%s" % (self.name, log.read())) from None
                    time.sleep(0.02)
        deadline = time.monotonic() + 1
        while True:  # these connections were sessions
            count = len(self.meter.pids())
            time.sleep(0.2)
            if count == len(self.meter.pids()) or time.monotonic() > deadline:
                break

    def stop(self):
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        deadline = time.monotonic() + 5
        while self.meter.pids() and time.monotonic() < deadline:
            for pid in self.meter.pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
        self.meter.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Postern(Peer):
    """checkpassword-file, then courierpop3d."""

    name = "postern"

    def start(self, mail, installation):
        mail.make_homes(self.path("mail"))
        limits = {"sessions": 2000, "sessions_per_address": 2000}
        self._postern = postern = harness.Postern(service=self.settings(installation), limits=limits)
        self.prepare(mail, installation)
        self.ports = {"implicit": postern.pop3s, "stls": postern.pop3, "login": postern.pop3s}
        self.spawn([*postern.prefix, postern.program, "run", postern.file], cwd="/", env={"PATH": "/usr/bin:/bin"})
        self.wait_for_ports()

    def settings(self, installation):
        return {"environment": None}

    def prepare(self, mail, installation):
        line = "%s:{CRYPT}" + mail.hash + ":%d:%d::" % (mail.uid, mail.uid) + self.path("mail") + "/%s\n"
        self._postern.write("passwd", "".join(line % (user, user) for user in USERS), 0o600)

    def stop(self):
        super().stop()
        self._postern.discard()


class PosternLogin(Postern):
    """login = "backend": courierpop3login, which asks an authdaemond as courier's does, then courierpop3d."""

    name = "postern-login"

    def settings(self, installation):
        programs = [installation.path("courier/bin/" + name) for name in ("courierpop3login", "courierpop3d")]
        return {
            "login": "backend",
            "checkpassword": None,
            "backend": [*programs, "Maildir"],
            "user": "root",
            "groups": [authdaemon.GROUP],
            "environment": None,
            "capabilities": None,
        }

    def prepare(self, mail, installation):
        self._daemon = authdaemon.AuthDaemon(installation, USERS[0], PASSWORD, mail.uid, "/nonexistent")
        for name, lines in userdb(mail, self.path("mail")).items():
            self._daemon.write_database(name, lines)
        self._daemon.start()
        self._postern.prefix = self._daemon.enter()
        self.meter.adopt(self._daemon.process.pid)

    def stop(self):
        super().stop()
        self._daemon.stop()


class Responder:
    """The trivial backend: greets, and says +OK to every line; to CAPA with a list, which is empty."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client):
        try:
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(b"+OK ready\r\n")
                while line := client.recv(512):
                    client.sendall(b"+OK\r\n.\r\n" if line.startswith(b"CAPA") else b"+OK\r\n")
        except OSError:
            pass


class Stunnel(Peer):
    """A thread for each client. It cannot log in: behind the port "login" it starts courierpop3d without a question."""

    name = "stunnel"

    def start(self, mail, installation):
        self.logins = False
        mail.make_homes(self.path("mail"))
        for name in ("implicit", "stls", "login"):
            self.ports[name] = installation.slot.port()
        self._responder = Responder()
        courier = installation.path("courier")
        service = "[%s]\naccept = 127.0.0.1:%d\n"
        trivial = "connect = 127.0.0.1:%d\n" % self._responder.port
        text = "foreground = yes\npid =\nsyslog = no\ndebug = err\n"
        text += "cert = %s\nkey = %s\n" % (installation.cert, installation.key)
        text += service % ("implicit", self.ports["implicit"]) + trivial
        text += service % ("stls", self.ports["stls"]) + trivial + "protocol = pop3\n"
        text += service % ("login", self.ports["login"])
        text += "exec = %s/bin/courierpop3d\nexecArgs = courierpop3d %s/big/Maildir\n" % (courier, self.path("mail"))
        with open(self.path("stunnel.conf"), "w", encoding="utf-8") as file:
            file.write(text)
        self.spawn([installation.peers + "/stunnel4", self.path("stunnel.conf")], env={"AUTHENTICATED": "big"})
        self.wait_for_ports()


class Courier(Peer):
    """couriertcpd, couriertls and courierpop3login with authdaemond, in a root directory of their own."""

    name = "courier"

    def start(self, mail, installation):
        root = self.path("root")
        shutil.copytree(installation.peers + "/courier", root, symlinks=True)
        subprocess.run(["/sbin/ldconfig", "-X", "-r", root], check=True, stderr=subprocess.DEVNULL)
        os.mknod(root + "/dev/null", 0o666 | 0o20000, os.makedev(1, 3))
        os.chmod(root + "/dev/null", 0o666)
        mail.make_homes(root + "/mail")
        with open(root + "/etc/courier/both.pem", "wb") as both:
            for part in (installation.key, installation.cert):
                with open(part, "rb") as file:
                    both.write(file.read())
        self._make_userdb(root, mail)
        libexec = "/usr/lib/courier/courier"
        self.spawn(["/usr/lib/courier/courier-authlib/authdaemond"], root=root, env={})
        environment = {
            "COURIERTLS": "/usr/bin/couriertls",
            "TLS_CERTFILE": "/etc/courier/both.pem",
            "TLS_VERIFYPEER": "NONE",
            "TLS_TRUSTCERTS": "/etc/courier/both.pem",
            "MAILDIRPATH": "Maildir",
            "POP3_PROXY": "0",
            "POP3_TLS_REQUIRED": "0",
        }
        for name in ("implicit", "stls"):
            self.ports[name] = installation.slot.port()
            tls = ["/usr/bin/couriertls", "-server", "-tcpd", "-user=courier"] if name == "implicit" else []
            self.spawn(
                ["/usr/sbin/couriertcpd", "-address=127.0.0.1", "-maxprocs=400", "-maxperip=400", "-nodnslookup"]
                + ["-noidentlookup", str(self.ports[name]), *tls]
                + [libexec + "/courierpop3login", libexec + "/courierpop3d", "Maildir"],
                root=root,
                env={**environment, **({"POP3_TLS": "1"} if tls else {"POP3_STARTTLS": "YES"})},
            )
        self.wait_for_ports()
        self.ports["login"] = self.ports["implicit"]

    def _make_userdb(self, root, mail):
        program = "/usr/lib/courier/courier-authlib/makedatprog"
        for name, lines in userdb(mail, "/mail").items():
            subprocess.run(
                [program, "-", "/etc/courier/new.dat", "/etc/courier/%s.dat" % name],
                input=lines + ".\n",
                text=True,
                check=True,
                preexec_fn=lambda: os.chroot(root),
            )
            os.chmod(root + "/etc/courier/%s.dat" % name, 0o600 if name == "userdbshadow" else 0o644)
