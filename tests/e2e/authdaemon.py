"""Courier's authdaemond with a userdb, unpacked and not installed. It wants /etc/courier and /run/courier, and who asks it
wants the latter: both live in a mount namespace of its own, with an /etc of a few files and an empty /run. Root only."""

import os
import shutil
import signal
import subprocess

import harness
from harness import USER
from processes import eventually

# What a program that looks up users and libraries reads.
ETC = ("ld.so.cache", "nsswitch.conf")
SOCKET = "/run/courier/authdaemon/socket"
GROUP = "courier"  # Debian's: the socket is 0777, its directory courier:courier 0750

SCRIPT = """set -eu
mount --bind "$1/etc" /etc
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/courier/authdaemon
chown "$2:$2" /run/courier/authdaemon
chmod 0750 /run/courier/authdaemon
set -a # authdaemond takes its configuration from the environment; the file only tells it that it may start
. /etc/courier/authdaemonrc
exec "$3/bin/authdaemond"
"""

RC = """authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
"""


class AuthDaemon:
    def __init__(self, installation, user, password, uid, home, passwd="/etc/passwd"):
        """`user` is in the userdb. The group that may reach the socket is called GROUP in the namespace."""
        self.gid = installation.slot.uids()
        self.courier = installation.path("courier")
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LD_LIBRARY_PATH": self.courier + "/lib"}
        self.directory = installation.path("authdaemon-%d" % self.gid)
        os.makedirs(self.directory + "/etc/courier")
        for name in ETC:
            shutil.copy("/etc/" + name, self.directory + "/etc/")
        shutil.copy(passwd, self.directory + "/etc/passwd")
        with open("/etc/group", encoding="utf-8") as groups:
            others = [line for line in groups if not line.startswith(GROUP + ":")]
        self._write("group", "".join(others) + "%s:x:%d:\n" % (GROUP, self.gid))
        self._write("courier/authdaemonrc", RC)
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True
        ).stdout.strip()
        self.write_database("userdb", "%s\tuid=%d|gid=%d|home=%s|shell=/bin/sh\n" % (user, uid, uid, home))
        self.write_database("userdbshadow", "%s\tsystempw=%s\n" % (user, hashed))
        self.process = None

    def _write(self, name, text):
        with open(self.directory + "/etc/" + name, "w", encoding="utf-8") as file:
            file.write(text)

    def write_database(self, name, lines):
        """What makeuserdb does, which is a Perl script with the places compiled in."""
        stem = self.directory + "/etc/courier/" + name
        subprocess.run(
            [self.courier + "/bin/makedatprog", "-", stem + ".tmp", stem + ".dat"],
            input=lines + ".\n",
            text=True,
            check=True,
            env=self.environment,
        )
        os.chmod(stem + ".dat", 0o600)

    def start(self):
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT, "authdaemon"]
        with open(self.directory + "/log", "wb") as log:
            self.process = subprocess.Popen(
                [*command, self.directory, str(self.gid), self.courier],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self.environment,
                start_new_session=True,  # it forks; the group is what stop() ends
            )
        eventually(self._listens, self._said)
        return self

    def _listens(self):
        if self.process.poll() is not None:
            raise AssertionError("authdaemond ended: " + self._said())
        return os.path.exists("/proc/%d/root%s" % (self.process.pid, SOCKET))

    def _said(self):
        with open(self.directory + "/log", encoding="utf-8", errors="replace") as log:
            return log.read()

    def enter(self):
        """What to put before a command that is to see the socket."""
        return ["nsenter", "--mount=/proc/%d/ns/mnt" % self.process.pid, "--"]

    def kill(self):
        """With it ends the namespace, unless somebody has stayed in it."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class CourierTest(harness.PosternTest):
    """Base of tests with one of courier's login programs as the backend."""

    PROGRAMS = ("courierpop3login", "courierpop3d")  # the second is started by the first
    ENVIRONMENT = {"POP3AUTH": "PLAIN LOGIN", "POP3AUTH_TLS": "PLAIN LOGIN"}

    def prepare_courier(self, **service):
        """A postern that is not started, and authdaemond, which is."""
        postern = self.prepare()
        courier = self.installation.path("courier/bin/")
        settings = postern.settings["service." + self.PROTOCOL]
        settings.update(
            login="backend",
            checkpassword=None,
            backend=[*(courier + program for program in self.PROGRAMS), "Maildir"],
            user="root",
            groups=[GROUP],
            backend_limits={"memory_mib": 256, "open_files": 64, "cpu_seconds": 600},
            capabilities=None,  # courier says itself what it is capable of
        )
        settings["environment"].update(self.ENVIRONMENT)
        settings.update(service)
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        account = (USER, postern.password, postern.mail_uid, postern.home)
        self.daemon = AuthDaemon(self.installation, *account, postern.etc_passwd)
        self.addCleanup(self.daemon.stop)
        postern.prefix = self.daemon.start().enter()
        return postern

    def start_courier(self, **service):
        postern = self.prepare_courier(**service)
        self.addCleanup(self.end, postern)
        return postern.start()

    def end(self, postern):
        super().end(postern)
        program = self.installation.path("courier/bin/" + self.PROGRAMS[0])
        self.assertEqual(harness.processes.processes(lambda process: process.title().startswith(program)), [])
