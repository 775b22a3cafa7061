"""Several certificates in one service: the client gets the one for the name it asks for, of a key that it can verify."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import unittest

import harness
import pop3
from harness import USER

RSA = ["-newkey", "rsa:2048"]
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])  # 253 octets: RFC 1035 §2.3.4
VECTOR_8, VECTOR_16, VECTOR_24 = 1, 2, 3


def vector(octets, width):
    return len(octets).to_bytes(width, "big") + octets


def client_hello(name):
    """TLS 1.3, with a server name of any octets, which no library would send: RFC 8446 §4.1.2, RFC 6066 §3."""
    x25519 = bytes([9]) + bytes(31)  # the base point; nobody means to finish this handshake
    extensions = {
        0: vector(b"\0" + vector(name, VECTOR_16), VECTOR_16),  # server_name, host_name
        10: vector(b"\x00\x1d", VECTOR_16),  # supported_groups: x25519
        13: vector(b"\x04\x03\x08\x04", VECTOR_16),  # signature_algorithms: ECDSA and RSA-PSS, SHA-256
        43: vector(b"\x03\x04", VECTOR_8),  # supported_versions
        51: vector(b"\x00\x1d" + vector(x25519, VECTOR_16), VECTOR_16),  # key_share
    }
    listed = b"".join(kind.to_bytes(2, "big") + vector(body, VECTOR_16) for kind, body in extensions.items())
    body = b"\x03\x03" + os.urandom(32) + vector(b"", VECTOR_8) + vector(b"\x13\x01", VECTOR_16)
    body += vector(b"\0", VECTOR_8) + vector(listed, VECTOR_16)
    return b"\x16\x03\x01" + vector(b"\x01" + vector(body, VECTOR_24), VECTOR_16)


class CertificatesTest(harness.PosternTest):
    def make(self, name, key, names, common_name=None):
        """A certificate in the installation's directory: the paths of it and its key."""
        cert, private = self.installation.path(name + ".pem"), self.installation.path(name + ".key")
        command = ["openssl", "req", "-x509", "-noenc", "-days", "30", "-subj", "/CN=" + (common_name or name), *key]
        command += ["-addext", "subjectAltName=" + names] if names else []
        subprocess.run([*command, "-keyout", private, "-out", cert], check=True, stderr=subprocess.DEVNULL)
        os.chmod(private, 0o600)
        return cert, private

    def pairs(self, *pairs):
        """Settings of a service that has these, and the backend envdump."""
        certificates, keys = zip(*pairs)
        return {**self.installation.backend("envdump"), "certificate": list(certificates), "key": list(keys)}

    def shown(self, postern, *arguments, implicit=True):
        """Common name and type of key of the certificate that `openssl s_client` is shown, or None."""
        port = ["-connect", "127.0.0.1:%d" % postern.pop3s]
        if not implicit:
            port = ["-connect", "127.0.0.1:%d" % postern.pop3, "-starttls", "pop3"]
        done = subprocess.run(
            ["openssl", "s_client", *port, *arguments],
            input=b"QUIT\r\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=30,
            check=False,
        )
        text = done.stdout.decode(errors="replace")
        certificate = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
        if not certificate:
            return None
        leaf = subprocess.run(
            ["openssl", "x509", "-noout", "-subject", "-text"],
            input=certificate[0].encode(),
            stdout=subprocess.PIPE,
            check=True,
        ).stdout.decode()
        kind = {"rsaEncryption": "RSA", "id-ecPublicKey": "EC"}[re.search("Public Key Algorithm: (.*)", leaf)[1]]
        return re.search(r"subject=CN = (\S+)", leaf)[1], kind


class ChoiceTest(CertificatesTest):
    def test_type_of_key_is_the_clients_choice(self):
        names = "DNS:localhost,DNS:mail.example"
        postern = self.start(
            service=self.pairs(self.make("rsa", RSA, names), self.make("ec", EC, "DNS:mail.example,DNS:LOCALHOST"))
        )
        for implicit in (True, False):
            for name in ("-noservername", "-servername=mail.example", "-servername=unknown.example"):
                name = name.split("=")
                for choice, expected in (
                    (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], ("rsa", "RSA")),
                    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], ("ec", "EC")),
                    (["-tls1_2", "-sigalgs", "RSA+SHA256"], ("rsa", "RSA")),
                    (["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], ("rsa", "RSA")),
                    (["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"], ("ec", "EC")),
                    ([], ("ec", "EC")),
                ):
                    self.assertEqual(self.shown(postern, *name, *choice, implicit=implicit), expected, (name, choice))

    def test_each_type_has_its_own_chain(self):
        rsa, ec = self.make("rsa", RSA, "DNS:localhost"), self.make("ec", EC, "DNS:localhost")
        issuers = [self.make("issuer%d" % number, EC, "DNS:issuer")[0] for number in range(3)]
        for cert, chain in ((rsa[0], issuers[:1]), (ec[0], issuers[1:])):
            with open(cert, "ab") as file:
                for issuer in chain:
                    with open(issuer, "rb") as other:
                        shutil.copyfileobj(other, file)
        postern = self.start(service=self.pairs(rsa, ec))
        for signature, count in (("rsa_pss_rsae_sha256", 2), ("ecdsa_secp256r1_sha256", 3)):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", "127.0.0.1:%d" % postern.pop3s, "-showcerts", "-sigalgs", signature],
                input=b"QUIT\r\n",
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=30,
                check=False,
            )
            # Once more at the end, as "Server certificate".
            self.assertEqual(len(set(re.findall(rb"BEGIN CERTIFICATE-----(.*?)-----", done.stdout, re.DOTALL))), count)

    def test_name(self):
        postern = self.start(
            service=self.pairs(
                self.make("first", EC, "DNS:localhost,DNS:mail.example"),
                self.make("second", RSA, "DNS:mail.test"),
                self.make("wild", EC, "DNS:*.hosted.example"),
                self.make("common", EC, None, "common.example"),
            )
        )
        for name, expected in (
            (None, ("first", "EC")),
            ("localhost", ("first", "EC")),
            ("mail.test", ("second", "RSA")),
            ("MAIL.test", ("second", "RSA")),
            ("a.hosted.example", ("wild", "EC")),
            ("a.b.hosted.example", ("first", "EC")),
            ("hosted.example", ("first", "EC")),
            ("common.example", ("common.example", "EC")),
            ("unknown.example", ("first", "EC")),
            (LONGEST, ("first", "EC")),
        ):
            for implicit in (True, False):
                for version in ("-tls1_2", "-tls1_3"):
                    arguments = ["-servername", name] if name else ["-noservername"]
                    self.assertEqual(self.shown(postern, *arguments, version, implicit=implicit), expected, name)

    def test_alpn_and_versions_hold_for_every_certificate(self):
        first, second = self.make("first", EC, "DNS:localhost"), self.make("second", RSA, "DNS:mail.test")
        postern = self.start(service=self.pairs(first, second))
        for cert, name in ((first[0], "localhost"), (second[0], "mail.test")):
            for offered, selected in ((["pop3"], "pop3"), (["imap", "pop3"], "pop3"), ([], None)):
                context = pop3.verifying(cert)
                context.set_alpn_protocols(offered)
                with pop3.Client(postern.pop3s) as client:
                    client.handshake(context, name)
                    client.greeted()
                    self.assertEqual(client.sock.selected_alpn_protocol(), selected)
            context = pop3.verifying(cert)
            context.set_alpn_protocols(["http/1.1"])
            with pop3.Client(postern.pop3s) as client, self.assertRaises(ssl.SSLError):
                client.handshake(context, name)
            for refused in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]):
                self.assertIsNone(self.shown(postern, "-servername", name, *refused), refused)

    def test_sixteen(self):
        pairs = [self.make("m%d" % number, RSA, "DNS:m%d.example" % number) for number in range(16)]
        postern = self.start(service=self.pairs(*pairs))
        for number in (0, 7, 15):
            self.assertEqual(self.shown(postern, "-servername", "m%d.example" % number), ("m%d" % number, "RSA"))


class ServerNameTest(CertificatesTest):
    """What the backend learns of the name."""

    def setUp(self):
        super().setUp()
        self.certs = [self.make("first", EC, "DNS:localhost"), self.make("second", EC, "DNS:mail.test")]
        self.postern = self.start(service=self.pairs(*self.certs))

    def environment(self, client):
        client.ok(b"USER " + USER.encode())
        self.assert_ok(client.command(b"PASS " + self.postern.password.encode()))
        lines = [line.decode().partition(" ")[2] for line in client.lines() if line.startswith(b"env ")]
        self.assert_closed(client)
        return dict(line.split("=", 1) for line in lines)

    def client(self, cert, name, stls):
        context = pop3.verifying(cert, check_hostname=False)
        client = self.postern.connect() if stls else pop3.Client(self.postern.pop3s)
        self.addCleanup(client.sock.close)
        if stls:
            client.ok(b"STLS")
        client.handshake(context, name)
        return client if stls else client.greeted()

    def test_the_backend_sees_it(self):
        for stls in (False, True):
            for cert, name in ((0, "localhost"), (1, "mail.test"), (0, "unknown.example"), (0, LONGEST), (0, None)):
                environment = self.environment(self.client(self.certs[cert][0], name, stls))
                self.assertEqual(environment.get("SSL_TLS_SNI_SERVERNAME"), name)
                self.assertEqual(environment["SSL_PROTOCOL"], "TLSv1.3")

    def test_what_is_no_name_stays_out(self):
        hostile = ["../../x", "a b", "a=b", "$(id)", "a%0a", "mail.test/", "x" * 255, "x" * 254, LONGEST + "."]
        for name in hostile:
            # Python would take an international name out of it, or none at all; openssl sends the octets.
            with self.subTest(name=name):
                self.assertEqual(self.shown(self.postern, "-servername", name), ("first", "EC"))
                event = self.postern.log.wait("tls", sni="", count=hostile.index(name) + 1)
                self.assertNotIn(name, self.postern.log.text())
                self.assertEqual(event.fields["version"], "TLSv1.3")
        self.assertEqual(len(self.postern.log.find("tls", sni="")), len(hostile))
        # And with the login, as far as the backend.
        process = subprocess.run(
            ["openssl", "s_client", "-quiet", "-ign_eof", "-connect", "127.0.0.1:%d" % self.postern.pop3s]
            + ["-servername", "../../x y=z"],
            input=b"USER %s\r\nPASS %s\r\n" % (USER.encode(), self.postern.password.encode()),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
        self.assertIn(b"env SSL_PROTOCOL=TLSv1.3", process.stdout)
        self.assertNotIn(b"SNI_SERVERNAME", process.stdout)
        self.assertNotIn(b"../../x", process.stdout)

    def test_octets_that_no_library_sends(self):
        server_hello, alert = b"\x16", b"\x15"
        taken = (b"mail.test", b"x" * 255, b"\xff" * 255, b"a\r\nb", b"\x1b[2J", bytes(range(1, 256)))
        refused = (b"x" * 256, b"x" * 4000, b"a\0b")  # by OpenSSL: unrecognized_name
        for name in taken + refused:
            with socket.create_connection(("127.0.0.1", self.postern.pop3s), 30) as sock:
                sock.sendall(client_hello(name))
                self.assertEqual(sock.recv(1), server_hello if name in taken else alert, name)
        # All goes on as before, and no worker died of it.
        self.assertEqual(self.shown(self.postern, "-servername", "mail.test"), ("second", "EC"))
        self.assertEqual(self.postern.log.find("worker_died"), [])
        self.assertEqual(self.postern.log.find("worker_failed"), [])


class CheckTest(CertificatesTest):
    """postern check: what is wrong with which of them."""

    def setUp(self):
        super().setUp()
        self.postern = self.prepare()
        self.first = self.make("first", EC, "DNS:localhost")
        self.second = self.make("second", RSA, "DNS:mail.test")

    def problems(self, certificate, key):
        """Exit status and the problems: (key, number of its element, message); number None: the whole value's place."""
        self.postern.settings["service.pop3"].update(certificate=certificate, key=key)
        self.postern.write("postern.toml", harness.toml_sections(self.postern.settings))
        status, said = self.postern.check()
        with open(self.postern.file, encoding="utf-8") as file:
            lines = file.read().splitlines()
        problems = []
        for line, column, message in re.findall(re.escape(self.postern.file) + r":(\d+):(\d+): (.*)", said):
            text = lines[int(line) - 1]
            name, _, value = text.partition(" = ")
            before = text[: int(column) - 1]
            in_array = before != name + " = "
            problems.append((name, before.count(",") if in_array else None, message))
            self.assertIn(value[0], '["')
        self.assertEqual(status, 100 if problems else 0, said)
        return problems

    def test_in_order(self):
        self.assertEqual(self.problems([self.first[0], self.second[0]], [self.first[1], self.second[1]]), [])
        self.assertEqual(self.problems([self.first[0]], self.first[1]), [])

    def test_counts(self):
        for certificates, keys in ((2, 1), (1, 2)):
            ((name, number, message),) = self.problems([self.first[0]] * certificates, [self.first[1]] * keys)
            self.assertEqual((name, number), ("key", None))
            self.assertIn("certificate, which has %d, not %d" % (certificates, keys), message)
        problems = self.problems([], [])
        self.assertEqual([problem[:2] for problem in problems], [("certificate", None), ("key", None)])
        problems = self.problems([self.first[0]] * 17, [self.first[1]] * 17)
        self.assertEqual([problem[:2] for problem in problems], [("certificate", None), ("key", None)])

    def test_key_of_another_certificate_in_second_place(self):
        third = self.make("third", RSA, "DNS:localhost")
        for key in (self.first[1], third[1]):
            ((name, number, message),) = self.problems([self.first[0], self.second[0]], [self.first[1], key])
            self.assertEqual((name, number), ("key", 1))
            self.assertIn("does not belong", message)
        # Of the same names: the context has a certificate that this key does belong to.
        ((name, number, message),) = self.problems([self.first[0], third[0]], [self.first[1], self.first[1]])
        self.assertEqual((name, number), ("key", 1))
        self.assertIn("does not belong", message)

    def test_same_names_and_type_twice(self):
        again = self.make("again", EC, "DNS:LOCALHOST")
        certificates, keys = zip(self.first, self.second, again)
        ((name, number, message),) = self.problems(certificates, keys)
        self.assertEqual((name, number), ("certificate", 2))
        self.assertIn("certificate 1 of this service", message)

    def test_each_is_reported(self):
        garbage = self.postern.write("garbage.pem", "", 0o600)
        problems = self.problems([garbage, self.second[0], garbage], [self.first[1], garbage, self.first[1]])
        self.assertEqual([problem[:2] for problem in problems], [("certificate", 0), ("key", 1), ("certificate", 2)])
        problems = self.problems([self.first[0], "none.pem"], [self.first[1], "nokey.pem"])
        self.assertEqual([problem[:2] for problem in problems], [("certificate", 1), ("key", 1)])

    def test_second_service(self):
        services = self.postern.settings
        services["service.other"] = {
            **services["service.pop3"],
            "listen": ["127.0.0.1:%d" % self.installation.slot.port()],
            "listen_tls": None,
            "certificate": [self.first[0], self.second[0]],
            "key": [self.first[1], self.first[1]],
        }
        ((name, number, message),) = self.problems([self.first[0]], [self.first[1]])
        self.assertEqual((name, number), ("key", 1))
        self.assertIn("does not belong", message)


if __name__ == "__main__":
    harness.main()
