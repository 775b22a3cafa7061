"""The cages, as /proc shows them while postern serves; and what may be in no log and no process's papers."""

import os
import re
import unittest

import harness
from harness import ROLES, ROOT, USER, eventually

# What an open descriptor may be, by the start of what /proc/PID/fd says.
PLAIN = ("socket:[", "pipe:[", "/dev/null")
WAITING = ("anon_inode:[eventpoll]", "anon_inode:[signalfd]")
CAPABILITIES = {"backendlauncher": 1 << 5 | 1 << 6 | 1 << 7}  # kill, setgid, setuid; the others have none


@unittest.skipUnless(ROOT, "an ordinary user's roles share one uid: command_test looks at them")
class CagesTest(harness.PosternTest):
    @classmethod
    def setUpClass(cls):
        postern = cls.postern = harness.Postern()
        cls.addClassCleanup(postern.discard)
        postern.start()
        cls.late, cls.early = postern.logged_in(), postern.connect_stls()
        cls.roles = {name: postern.role(name) for name in ROLES}
        cls.workers = {
            "tlsworker": postern.worker("tlsworker", postern.session_of(cls.late)),
            "protocolbroker": postern.worker("protocolbroker", postern.session_of(cls.early)),
        }

    def each(self, check):
        """check(name, process) for roles, then for workers; each a subtest."""
        for group in (self.roles, self.workers):
            for name, found in group.items():
                with self.subTest(role=name, worker=group is self.workers):
                    self.assertEqual(len(found), 1, found)
                    check(name, found[0])

    def test_one_uid_each(self):
        def check(name, process):
            uid = self.postern.role_uids[ROLES.index(name)]
            status = process.status()
            self.assertEqual(status["Uid"].split(), [str(uid)] * 4)
            self.assertEqual(status["Gid"].split(), [str(uid)] * 4)
            self.assertEqual(status["Groups"], "")

        self.each(check)

    def test_capabilities(self):
        def check(name, process):
            status = process.status()
            wanted = "%016x" % CAPABILITIES.get(name, 0)
            for kind in ("CapEff", "CapPrm", "CapBnd"):
                self.assertEqual(status[kind], wanted, kind)
            self.assertEqual(int(status["CapInh"], 16) | int(status["CapAmb"], 16), 0)

        self.each(check)

    def test_filter_and_no_new_privs(self):
        def check(name, process):
            status = process.status()
            self.assertEqual(status["Seccomp"], "2")
            self.assertEqual(status["NoNewPrivs"], "0" if name == "backendlauncher" else "1")
            self.assertEqual(status["Threads"], "1")

        self.each(check)
        for name, (worker,) in self.workers.items():  # the second stage
            (zygote,) = self.roles[name]
            self.assertGreater(int(worker.status()["Seccomp_filters"]), int(zygote.status()["Seccomp_filters"]))

    def test_namespaces(self):
        ours = {kind: os.readlink("/proc/self/ns/" + kind) for kind in ("net", "mnt", "ipc", "uts", "pid")}

        def check(name, process):
            if name == "backendlauncher":
                # Backends deliver mail, so they have the host's network and files; but what they start ends with them.
                self.assertEqual(process.namespace("net"), ours["net"])
                self.assertNotEqual(process.namespace("pid"), ours["pid"])
            else:
                for kind in ("net", "mnt", "ipc", "uts"):
                    self.assertNotEqual(process.namespace(kind), ours[kind], kind)

        self.each(check)

    def test_empty_root(self):
        def check(name, process):
            if name != "backendlauncher":
                self.assertEqual(os.listdir(process.path("root")), [])
                self.assertEqual(os.listdir(process.path("cwd")), [])
                with self.assertRaises(OSError):
                    os.mkdir(process.path("root/x"))

        self.each(check)

    def test_descriptors(self):
        def check(name, process):
            allowed = PLAIN if process in self.workers.get(name, ()) else PLAIN + WAITING
            others = [what for what in process.descriptors().values() if not what.startswith(allowed)]
            # What checkpassword is to exec.
            self.assertEqual(others, [self.postern.libexec("begin")] if name == "backendlauncher" else [])

        self.each(check)

    def test_limits(self):
        self.each(lambda _, process: self.assertRegex(process.read("limits").decode(), r"Max core file size +0 +0 "))
        for name, (worker,) in self.workers.items():
            limits = worker.read("limits").decode()
            self.assertRegex(limits, r"Max processes +0 +0 ", name)
            self.assertRegex(limits, r"Max file size +0 +0 ", name)

    def test_nothing_to_be_read_by_siblings(self):
        # What is in /proc/PID belongs to root when the process may not be dumped, or traced by others of its uid.
        self.each(lambda name, process: self.assertEqual(os.stat(process.path("environ")).st_uid, 0))

    def test_workers_know_one_session(self):
        (worker,) = self.workers["tlsworker"]
        with open("/proc/net/tcp", encoding="ascii") as table:
            streams = {"socket:[%s]" % line.split()[9] for line in list(table)[1:]}
        self.assertEqual(len(streams & set(worker.descriptors().values())), 1, "one client and no listener")


class SecretsTest(harness.PosternTest):
    def test_no_password_in_the_papers_of_a_process(self):
        postern = self.start()
        postern.secrets.append("another-Secret-77")
        late, early = postern.logged_in(), postern.connect_tls()
        early.ok(b"USER " + USER.encode())
        self.assert_err(early.command(b"PASS another-Secret-77"))
        early.ok(b"USER " + USER.encode())
        looked_at = 0
        for process in postern.processes():
            for paper in ("cmdline", "environ"):
                try:
                    octets = process.read(paper)
                except PermissionError:
                    continue  # which an ordinary user's other processes get as well
                looked_at += bool(octets)
                for secret in postern.secrets:
                    self.assertNotIn(secret.encode(), octets, process)
        self.assertGreater(looked_at, 8)
        late.ok(b"QUIT")


class LogTest(harness.PosternTest):
    def test_one_session_has_one_id_from_accept_to_close(self):
        postern = self.start()
        for connect, tls in ((postern.connect_stls, True), (postern.connect_tls, True), (postern.connect, False)):
            with connect() as client:
                session = postern.session_of(client)
                if tls:
                    client.login(USER, postern.password)
                client.ok(b"QUIT")
            wanted = ["accept", *(["tls", "login", "tls_end", "backend_end"] if tls else ["dialogue_end"]), "close"]
            for name in wanted:
                postern.log.wait(name, session=session)
            lines = [event for event in postern.log.events if event.session == session]
            self.assertEqual(sorted(event.name for event in lines), sorted(wanted))
            self.assertEqual(lines[0].name, "accept")
        self.assertEqual(len({event.session for event in postern.log.find("close")}), 3)

    def test_fields(self):
        postern = self.start()
        with postern.logged_in() as client:
            session = postern.session_of(client)
            client.ok(b"RETR 3")
            client.lines()
            client.ok(b"QUIT")
        log = postern.log
        accept = log.wait("accept", session=session)
        self.assertEqual(accept.role, "acceptor")
        self.assertEqual(accept.fields["service"], "pop3")
        tls = log.wait("tls", session=session)
        self.assertEqual((tls.role, tls.fields["version"], tls.fields["sni"]), ("tlsworker", "TLSv1.3", "localhost"))
        self.assertIn("cipher", tls.fields)
        login = log.wait("login", session=session)
        self.assertEqual((login.role, login.fields["user"], login.fields["service"]), ("backendlauncher", USER, "pop3"))
        end = log.wait("tls_end", session=session)
        self.assertGreater(int(end.fields["out"]), len(harness.MESSAGES[2]))
        self.assertGreater(int(end.fields["in"]), 0)
        self.assertEqual(log.wait("backend_end", session=session).fields["status"], "0")
        self.assertRegex(log.wait("close", session=session).fields["ms"], r"\d+")

    def test_stamps_are_true(self):
        postern = self.start()
        client = postern.logged_in()
        session = postern.session_of(client)
        (worker,) = eventually(lambda: postern.worker("tlsworker", session), "its worker")
        self.assertEqual(postern.log.wait("tls", session=session).pid, worker.pid)
        (acceptor,) = postern.role("acceptor")
        self.assertEqual(postern.log.wait("accept", session=session).pid, acceptor.pid)
        client.ok(b"QUIT")

    def test_a_name_cannot_forge_a_line(self):
        postern = self.prepare()
        self.addCleanup(self.end, postern)
        user = 'x" role=acceptor pid=1 ev=accept \\ \u00e9' + "y" * 100
        postern.write_passwd({user: postern.password})
        postern.start()
        with postern.connect_tls() as client:
            client.login(user, postern.password)
            login = postern.log.wait("login")
            self.assertTrue(re.match(r'.* user="x\\x22[ ?]role=acceptor', login.line), login.line)
            client.ok(b"QUIT")
        self.assertEqual(len(postern.log.find("accept")), 1)


if __name__ == "__main__":
    harness.main()
