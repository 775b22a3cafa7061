"""What a backend is started with: the client's address, the facts of TLS, its user, and nothing else."""

import os
import socket
import ssl
import unittest

import harness
import pop3
from harness import ROOT, USER


class Facts:
    """What the backend envdump says."""

    def __init__(self, client):
        self.environment, self.arguments, self.descriptors, self.status, self.other = {}, [], {}, {}, {}
        for line in client.lines():
            kind, _, rest = line.decode().partition(" ")
            if kind == "env":
                name, _, self.environment[name] = rest.partition("=")
            elif kind == "arg":
                self.arguments.append(rest)
            elif kind == "fd":
                number, inode, what, flags = rest.split()
                self.descriptors[int(number)] = (inode, what, int(flags))
            elif kind == "status":
                name, _, value = rest.partition(":")
                self.status[name] = value.strip()
            else:
                self.other[kind] = rest


class BackendTest(harness.PosternTest):
    def start_envdump(self, **service):
        return self.start(service={**self.installation.backend("envdump", "one", "two words"), **service})

    def facts(self, postern, client):
        client.ok(b"USER " + USER.encode())
        self.assert_ok(client.command(b"PASS " + postern.password.encode()))
        facts = Facts(client)
        self.assert_closed(client)
        return facts

    def test_address_is_the_clients(self):
        postern = self.start_envdump()
        clients = [
            postern.connect_stls(),
            postern.connect_tls(),
            postern.connect_stls(source="127.0.0.2"),
            postern.connect_tls(source="127.0.0.2"),
            postern.connect_stls(host="::1"),
            postern.connect_tls(host="::1"),
        ]
        for client in clients:
            address, port = client.sock.getsockname()[:2]
            local_address, local_port = client.sock.getpeername()[:2]
            environment = self.facts(postern, client).environment
            self.assertEqual(environment["PROTO"], "TCP")
            self.assertEqual(environment["TCPREMOTEIP"], address)
            self.assertEqual(environment["TCPREMOTEPORT"], str(port))
            self.assertEqual(environment["TCPLOCALIP"], local_address)
            self.assertEqual(environment["TCPLOCALPORT"], str(local_port))
            postern.log.wait("login", address=address)

    def test_ipv6_listener_is_not_ipv4(self):
        postern = self.start_envdump(listen=None, listen_tls=["[::]:%d" % self.installation.slot.port()])
        port = int(postern.settings["service.pop3"]["listen_tls"][0].rpartition(":")[2])
        with pop3.Client(port, host="::1", tls=postern.trust()) as client:
            client.greeted()
            self.assertEqual(self.facts(postern, client).environment["TCPREMOTEIP"], "::1")
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)

    def test_facts_of_tls(self):
        postern = self.start_envdump()
        for version in ("TLSv1.2", "TLSv1.3"):
            context = postern.trust()
            context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version.replace(".", "_"))
            with postern.connect() as client:
                client.stls(context)
                cipher = client.sock.cipher()[0]
                environment = self.facts(postern, client).environment
            self.assertEqual(environment["SSL_PROTOCOL"], version)
            self.assertEqual(environment["SSL_CIPHER"], cipher)
            self.assertEqual(environment["SSL_TLS_SNI_SERVERNAME"], "localhost")
            client_facts = ("SSL_CLIENT", "SSL_PEER")  # of certificates that were not asked for
            self.assertFalse([name for name in environment if name.startswith(client_facts)])

    def test_environment_is_a_list_of_known_names(self):
        postern = self.start_envdump(environment={"FROM_THE_CONFIGURATION": "yes \"quoted\" \\ $HOME"})
        environment = self.facts(postern, postern.connect_tls()).environment
        self.assertEqual(environment.pop("FROM_THE_CONFIGURATION"), "yes \"quoted\" \\ $HOME")
        self.assertEqual(environment["USER"], USER)
        self.assertEqual(environment["HOME"], postern.home)
        self.assertEqual(environment["AUTHENTICATED"], USER)
        known = {"PATH", "PROTO", "TCPREMOTEIP", "TCPREMOTEPORT", "TCPLOCALIP", "TCPLOCALPORT", "SSL_PROTOCOL", "SSL_CIPHER"}
        known |= {"SSL_TLS_SNI_SERVERNAME", "POP3_TLS", "IMAP_TLS", "USER", "HOME", "SHELL", "AUTHENTICATED", "AUTHADDR"}
        self.assertEqual(set(environment) - known, set())
        self.assertNotIn(postern.password, " ".join(environment.values()))

    def test_descriptors(self):
        for how in ("connect_stls", "connect_tls"):
            postern = self.start_envdump()
            facts = self.facts(postern, getattr(postern, how)())
            self.assertEqual(sorted(facts.descriptors), [0, 1, 2])
            stdin, stdout, stderr = (facts.descriptors[number] for number in range(3))
            self.assertEqual(stdin[1], "socket")
            self.assertEqual(stdin, stdout)  # one and the same
            self.assertFalse(stdin[2] & os.O_NONBLOCK)
            self.assertNotEqual(stderr[:1], stdin[:1])
            self.assertIn(stderr[1], ("socket", "pipe", "device"))

    def test_process_state(self):
        postern = self.start_envdump()
        facts = self.facts(postern, postern.connect_tls())
        self.assertEqual(facts.arguments, [self.installation.path("envdump"), "one", "two words"])
        self.assertEqual(facts.other["cwd"], postern.home)
        self.assertEqual(facts.other["umask"], "77")
        self.assertEqual(facts.other["group"], "1")  # a process group of its own, to be killed as one
        self.assertEqual(facts.status["SigBlk"], "0" * 16)
        self.assertEqual(facts.status["SigIgn"], "0" * 16)
        self.assertEqual(facts.status["NoNewPrivs"], "1")
        self.assertEqual(facts.status["CapEff"], "0" * 16)
        self.assertEqual(facts.status["CapPrm"], "0" * 16)
        self.assertEqual(facts.status["CapAmb"], "0" * 16)
        self.assertEqual(facts.status["Uid"].split(), [str(postern.mail_uid)] * 4)
        if ROOT:
            self.assertEqual(facts.status["Gid"].split(), [str(postern.mail_uid)] * 4)
            self.assertIn(facts.status["Groups"], ("", str(postern.mail_uid)))

    def test_no_new_privs_is_per_service(self):
        postern = self.start_envdump(no_new_privs=False)
        self.assertEqual(self.facts(postern, postern.connect_tls()).status["NoNewPrivs"], "0" if ROOT else "1")

    def test_standard_error_goes_to_the_log_and_not_to_the_client(self):
        script = "echo '+OK talking'; echo 'a \"complaint\" role=tlsworker' >&2; read line; echo \"+OK $line\""
        postern = self.start(service={"backend": ["/bin/sh", "-c", script], "environment": None})
        with postern.connect_tls() as client:
            client.ok(b"USER " + USER.encode())
            client.send(b"PASS " + postern.password.encode() + b"\r\n")
            self.assertTrue(client.exactly(len(b"+OK talking\n")).startswith(b"+OK"))
            event = postern.log.wait("stderr")
            self.assertEqual(event.role, "backend")
            self.assertIn("complaint", event.fields["text"])
            client.send(b"over\r\n")
            self.assertEqual(client.rest(), b"+OK over\r\n")

    def test_a_backend_that_dies_is_reported(self):
        postern = self.start(service={"backend": ["/bin/sh", "-c", "printf '+OK\\r\\n'; kill -KILL $$"], "environment": None})
        with postern.connect_tls() as client:
            client.login(USER, postern.password)
            self.assert_closed(client)
            postern.log.wait("backend_end", status=128 + 9)

    def test_what_a_backend_leaves_behind_ends_with_it(self):
        script = "printf '+OK\\r\\n'; sleep 1000 >/dev/null 2>&1 & read line"
        postern = self.start(service={"backend": ["/bin/sh", "-c", script], "environment": None})
        with postern.logged_in() as client:
            sleeps = lambda: postern.processes(lambda process: process.title().startswith("sleep "))
            harness.eventually(sleeps, "the backend's child")
            client.send(b"over\r\n")
            self.assert_closed(client)
            postern.log.wait("backend_end")
            harness.eventually(lambda: not sleeps(), "its end")

    @unittest.skipUnless(ROOT, "an ordinary user cannot be root")
    def test_a_login_as_root_is_refused(self):
        postern = self.start_envdump(checkpassword=["/bin/sh", "-c", 'export USER=root; exec "$@"', "accept-everybody"])
        with postern.connect_tls() as client:
            client.ok(b"USER root")
            self.assert_err(client.command(b"PASS x"))
        self.assertEqual(postern.log.find("backend_end"), [])


if __name__ == "__main__":
    harness.main()
