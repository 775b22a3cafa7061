"""What is measured, with ports, a meter and mailboxes: postern and stunnel; strangers.py has the others."""

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
from mailboxes import PASSWORD, USERS, userdb


# What the peers and the programs of this benchmark read there.
ETC = ("group", "hosts", "nsswitch.conf", "passwd", "ssl/openssl.cnf")


def replace_etc(installation, rivals):
    """Another /etc for this process and what it starts: courier's programs find their libraries as if installed, not by a
    search that costs more than they do, and gamin its server, by the name that belongs to a uid. The whole directory: a file
    mounted over another is gone when somebody replaces that."""
    etc, conf = installation.path("etc"), installation.path("ld.so.conf")
    os.makedirs(etc + "/ssl")
    for name in ETC:
        shutil.copy("/etc/" + name, etc + "/" + name)
    for peer in rivals:
        peer.name_owner(etc + "/passwd")
    with open(conf, "w", encoding="utf-8") as file:
        file.write("include /etc/ld.so.conf.d/*.conf\n%s/lib\n" % installation.path("courier"))
    subprocess.run(["/sbin/ldconfig", "-X", "-f", conf, "-C", etc + "/ld.so.cache"], check=True)
    subprocess.run(["mount", "--bind", etc, "/etc"], check=True)


class Peer:
    name = "?"

    def __init__(self, directory, protocol):
        self.protocol = protocol
        self.backend = protocol.courier[1]  # what its processor time is subtracted as, in the bulk measurement
        self.directory = tempfile.mkdtemp(prefix=self.name + "-", dir=directory)
        os.chmod(self.directory, 0o755)
        self.uid = harness.installation().slot.uids() + 5  # the mailboxes'; no two share a gam_server
        self.meter = meter.make_meter()
        self.ports = {}  # "implicit", "starttls"; "login": implicit, where the backend can be reached
        self.logins = True  # asks for a password
        self._processes = []

    def path(self, name):
        return self.directory + "/" + name

    def name_owner(self, passwd):
        with open(passwd, "a", encoding="utf-8") as file:
            file.write("mail-%d:x:%d:%d::/nonexistent:/bin/false\n" % (self.uid, self.uid, self.uid))

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
    """checkpassword-file, then courier's server."""

    name = "postern"

    def start(self, mail, installation):
        mail.make_homes(self.path("mail"), self.uid)
        limits = {"sessions": 2000, "sessions_per_address": 2000, **self.protocol.limits}
        service = self._service(installation)
        self._postern = postern = harness.Postern(service=service, limits=limits, protocol=self.protocol.name)
        self.prepare(mail, installation)
        self.ports = {"implicit": postern.tls_port, "starttls": postern.port, "login": postern.tls_port}
        self.spawn([*postern.prefix, postern.program, "run", postern.file], cwd="/", env={"PATH": "/usr/bin:/bin"})
        self.wait_for_ports()

    def _service(self, installation):
        environment = dict(self.protocol.environment)
        if self.protocol.name == "imap":  # imapd asks it about changes; libgamin0 would look elsewhere
            environment["GAMIN_DEBUG_SERVER"] = installation.path("courier/bin/gam_server")
        return {"environment": environment, **self.settings(*self._courier(installation))}

    def _courier(self, installation):
        return [installation.path("courier/bin/" + name) for name in self.protocol.courier]

    def settings(self, login, server):
        return {"backend": [server, "Maildir"]}

    def prepare(self, mail, installation):
        line = "%s:{CRYPT}" + mail.hash + ":%d:%d::" % (self.uid, self.uid) + self.path("mail") + "/%s\n"
        self._postern.write("passwd", "".join(line % (user, user) for user in USERS), 0o600)

    def stop(self):
        super().stop()
        self._postern.discard()


class PosternLogin(Postern):
    """login = "backend": courier's login, which asks an authdaemond as courier's own does, then courier's server."""

    name = "postern-login"

    def settings(self, login, server):
        return {
            "login": "backend",
            "checkpassword": None,
            "backend": [login, server, "Maildir"],
            "user": "root",
            "groups": [authdaemon.GROUP],
            "capabilities": None,
        }

    def prepare(self, mail, installation):
        self._daemon = authdaemon.AuthDaemon(installation, USERS[0], PASSWORD, self.uid, "/nonexistent")
        for name, lines in userdb(mail, self.path("mail"), self.uid).items():
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
        mail.make_homes(self.path("mail"), self.uid)
        for name in ("implicit", "starttls", "login"):
            self.ports[name] = installation.slot.port()
        self._responder = Responder()
        courier = installation.path("courier")
        service = "[%s]\naccept = 127.0.0.1:%d\n"
        trivial = "connect = 127.0.0.1:%d\n" % self._responder.port
        text = "foreground = yes\npid =\nsyslog = no\ndebug = err\n"
        text += "cert = %s\nkey = %s\n" % (installation.cert, installation.key)
        text += service % ("implicit", self.ports["implicit"]) + trivial
        text += service % ("starttls", self.ports["starttls"]) + trivial + "protocol = pop3\n"
        text += service % ("login", self.ports["login"])
        text += "exec = %s/bin/courierpop3d\nexecArgs = courierpop3d %s/big/Maildir\n" % (courier, self.path("mail"))
        with open(self.path("stunnel.conf"), "w", encoding="utf-8") as file:
            file.write(text)
        self.spawn([installation.peers + "/bin/stunnel4", self.path("stunnel.conf")], env={"AUTHENTICATED": "big"})
        self.wait_for_ports()
