"""The ways in which fronts with STARTTLS are known to fail, and which test here tries each on POP3:

    commands behind STLS, in its segment or a later one     stls_test.InjectionTest
    line ends that only one of two parsers sees             stls_test.BeforeStlsTest.test_lines_that_are_none
    half a line carried into TLS                            stls_test.InjectionTest.test_a_fragment_...
    a login injected before TLS                             stls_test.InjectionTest.test_a_command_in_the_segment_...
    a login before TLS kept behind it                       SessionTest.test_a_session_logged_in_...
    USER before TLS, PASS inside                            login_test.AllowedInClearTextTest.test_user_is_forgotten_...
    STLS offered or obeyed inside TLS                       login_test, test_inside_tls_...
    a second greeting, or more than one reply               stls_test.InjectionTest.test_nothing_is_said_unasked_...
    clear text after a failed handshake                     stls_test.InjectionTest.test_no_clear_text_after_...
    STLS where it is data                                   SessionTest.test_stls_as_an_argument_...
    STLS only as the first command                          stls_test.BeforeStlsTest
    STLS with an argument                                   stls_test.BeforeStlsTest.test_anything_before_...
    a login in clear text where it is refused               login_test
    another protocol's client (ALPN); one port's stream
      handed to a client of the other                       stls_test.TlsTest.test_alpn
    old versions, weak suites                               WeakTest
    renegotiation                                           stls_test.TlsTest.test_no_renegotiation
    a connection cut before its end (truncation)            handover_test.EndsTest, vanish_test
    no close_notify                                         handover_test.EndsTest.test_quit_...
    handshakes that stop, or never end                      limits_test.TimeTest, slow_test.SlowTest
    clients that wait for others' handshakes                limits_test.TimeTest, slow_test, test_a_thousand_...
    lines and handshakes too large, alerts without end,
      empty lines, binary                                   ResourcesTest, stls_test, slow_test.GarbageTest
    fragments: of records, segments, lines                  stls_test.BeforeStlsTest, slow_test.SlowTest, handover_test
    clients that vanish                                     vanish_test
    buffers full both ways                                  handover_test.BulkTest, slow_test, test_a_client_that_never_...
    bare LF around the end of a message                     handover_test.RecordingTest.test_octets_pass_unchanged
"""

import re
import shutil
import struct
import subprocess

import dialect
import harness
import pop3
import starttls
from harness import USER

# RFC 5246 and its like, by their numbers: TLS of today does not know most names.
GOOD = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA8, 0xCCA9)
WEAK = {
    "NULL": (0x0001, 0x0002, 0x003B, 0xC006, 0xC010),
    "export": (0x0003, 0x0006, 0x0008, 0x000E, 0x0014),
    "anonymous": (0x0018, 0x0034, 0x006C, 0x00A6, 0xC018),
    "RC4": (0x0004, 0x0005, 0xC007, 0xC011),
    "DES": (0x0009, 0x0015, 0x000A, 0x0016, 0xC008, 0xC012),
    "RSA key exchange": (0x002F, 0x0035, 0x003C, 0x009C, 0x009D),
    "CBC": (0xC009, 0xC00A, 0xC013, 0xC014, 0xC023, 0xC027),
    "DHE": (0x0033, 0x0039, 0x0067, 0x009E, 0x009F),
}
GROUPS = (23, 24, 29)
WEAK_GROUPS = (1, 9, 15, 16, 19)  # of less than 224 bits
ALGORITHMS = (0x0403, 0x0804, 0x0401)
WEAK_ALGORITHMS = (0x0101, 0x0201, 0x0203)  # MD5 and SHA-1


def vector(octets, size):
    return len(octets).to_bytes(size, "big") + octets


def numbers(values):
    return b"".join(struct.pack(">H", value) for value in values)


def client_hello(version=0x0303, suites=GOOD, groups=GROUPS, algorithms=ALGORITHMS, extensions=True):
    """RFC 5246 section 7.4.1.2, in one record."""
    lists = {10: vector(numbers(groups), 2), 11: b"\1\0", 13: vector(numbers(algorithms), 2)}
    body = struct.pack(">H", version) + bytes(32) + vector(b"", 1) + vector(numbers(suites), 2) + vector(b"\0", 1)
    if extensions:
        body += vector(b"".join(struct.pack(">H", kind) + vector(octets, 2) for kind, octets in lists.items()), 2)
    return b"\x16" + struct.pack(">H", min(version, 0x0301)) + vector(b"\1" + vector(body, 3), 2)


class WeakTest(harness.PosternTest):
    """Each before an ECDSA and before an RSA certificate."""

    def certificates(self):
        yield self.installation.cert, self.installation.key
        cert, key = self.installation.path("rsa.pem"), self.installation.path("rsa.key")
        command = "openssl req -x509 -newkey rsa:2048 -noenc -days 3650 -subj /CN=localhost".split()
        subprocess.run([*command, "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
        yield cert, key

    def start_each(self):
        for cert, key in self.certificates():
            postern = self.prepare()
            shutil.copy(cert, postern.path("cert.pem"))
            shutil.copy(key, postern.path("key.pem"))
            self.addCleanup(self.end, postern)
            yield postern.start()

    def answer(self, postern, hello, stls):
        """The type of the first record: 22 is a handshake, 21 an alert."""
        with postern.connect() if stls else pop3.Client(postern.pop3s) as client:
            if stls:
                client.ok(b"STLS")
            client.send(hello)
            return client.exactly(1)[0]

    def check(self, postern, record, **hello):
        for stls in (False, True):
            with self.subTest(stls=stls, **hello):
                self.assertEqual(self.answer(postern, client_hello(**hello), stls), record)

    def test_hellos(self):
        for postern in self.start_each():
            self.check(postern, 22)  # or the rest would prove nothing
            for version in (0x0300, 0x0301, 0x0302):
                self.check(postern, 21, version=version)
                self.check(postern, 21, version=version, extensions=False)
            for name, suites in WEAK.items():
                for version in (0x0300, 0x0301, 0x0303):
                    with self.subTest(name):
                        self.check(postern, 21, version=version, suites=suites)
            self.check(postern, 21, groups=WEAK_GROUPS)
            self.check(postern, 21, algorithms=WEAK_ALGORITHMS)

    def test_sslscan(self):
        """A stranger's eyes: nothing older than 1.2, no suite or group that it calls weak, no known hole."""
        for postern in self.start_each():
            for arguments in (["--starttls-pop3", "127.0.0.1:%d" % postern.pop3], ["127.0.0.1:%d" % postern.pop3s]):
                done = subprocess.run(
                    ["sslscan", "--no-colour", *arguments], capture_output=True, text=True, check=True, timeout=120
                )
                with self.subTest(arguments[0]):
                    for protocol in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
                        self.assertRegex(done.stdout, r"%s +disabled" % re.escape(protocol))
                    for protocol in ("TLSv1.2", "TLSv1.3"):
                        self.assertRegex(done.stdout, r"%s +enabled" % re.escape(protocol))
                    suites = re.findall(r"^(?:Preferred|Accepted) +\S+ +\d+ bits +(\S+)", done.stdout, re.MULTILINE)
                    self.assertGreater(len(suites), 3)
                    for suite in suites:
                        self.assertRegex(suite, r"^(TLS_|ECDHE-(ECDSA|RSA)-)(AES_?\d+[_-]GCM|CHACHA20[_-]POLY1305)")
                    self.assertIn("Session renegotiation not supported", done.stdout)
                    self.assertNotRegex(done.stdout, r"(?<!not )vulnerable")


class SessionTest(harness.PosternTest):
    def test_a_session_logged_in_before_tls_gets_no_tls(self):
        postern = self.start(service={"plaintext": "allow"})
        with postern.connect() as client:
            client.login(USER, postern.password)
            self.assert_err(client.command(b"STLS"))
            client.ok(b"STAT")
        self.assertEqual(postern.log.find("tls") + postern.log.find("tls_failed"), [])

    def test_stls_as_an_argument_is_data(self):
        postern = self.start(service={"plaintext": "allow"})
        with postern.connect() as client:
            client.ok(b"USER STLS")
            self.assert_err(client.command(b"PASS STLS"))
            self.assert_err(client.command(b"NOOP STLS"))
            client.stls(postern.trust()).login(USER, postern.password)
        self.assertEqual(len(postern.log.find("login_failed")), 1)


class ResourcesTest(dialect.Pop3, starttls.Resources, harness.PosternTest):
    pass


if __name__ == "__main__":
    harness.main()
