"""Limits of time and number: absolute, named, and never to the harm of the next client."""

import concurrent.futures
import os
import poplib
import socket
import struct
import time

import harness
import pop3
from harness import USER, eventually


class TimeTest(harness.PosternTest):
    def closed_after(self, sock, low, high, drip=b""):
        """The server closes between so many seconds from now, whatever it says before; `drip` is sent five times a second."""
        started = time.monotonic()
        sock.settimeout(0.2 if drip else high + 5)
        while True:
            try:
                if sock.recv(4096) == b"":
                    break
            except TimeoutError:
                self.assertLess(time.monotonic() - started, high + 5, "not closed")
                try:
                    sock.sendall(drip)
                except ConnectionError:
                    break
            except ConnectionError:
                break
        self.assertGreater(time.monotonic() - started, low)
        self.assertLess(time.monotonic() - started, high)

    def test_handshake(self):
        postern = self.start(limits={"handshake_seconds": 1})
        hello = pop3.Engine(None, postern.trust()).hello()
        for said, drip in ((b"", b""), (hello[:20], b""), (hello[:20], hello[20:21])):
            with self.subTest(said=len(said), drip=len(drip)):
                with pop3.Client(postern.pop3s) as client:
                    client.send(said)
                    self.closed_after(client.sock, 0.8, 5, drip)
                with postern.connect() as client:
                    client.ok(b"STLS")
                    client.send(said)
                    self.closed_after(client.sock, 0.8, 5, drip)
                    postern.log.wait("close", session=postern.session_of(client))
        postern.log.wait("tls_failed", count=6)

    def test_login(self):
        postern = self.start(limits={"login_seconds": 2, "handshake_seconds": 1})
        for drip in (b"", b"N"):
            with self.subTest(drip=drip):
                clients = postern.connect(), postern.connect_stls(), postern.connect_tls()
                with concurrent.futures.ThreadPoolExecutor() as pool:
                    for done in [pool.submit(self.closed_after, client.sock, 1.0, 6, drip) for client in clients]:
                        done.result()
                for client in clients:
                    client.sock.close()
        postern.log.wait("dialogue_end", why="login_time", count=6)

    def test_login_limit_ends_with_the_login(self):
        postern = self.start(limits={"login_seconds": 2, "handshake_seconds": 1})
        with postern.logged_in() as client:
            client.sock.settimeout(3)
            self.assertRaises(TimeoutError, client.sock.recv, 1)  # longer than both limits
            client.sock.settimeout(30)
            client.ok(b"STAT")

    def test_stuck_peers_do_not_delay_others(self):
        postern = self.start()
        stuck = [pop3.Client(postern.pop3s) for _ in range(40)]
        stuck += [postern.connect() for _ in range(10)]
        for client in stuck[40:]:
            client.ok(b"STLS")
        started = time.monotonic()
        with postern.logged_in() as client:
            client.ok(b"STAT")
        self.assertLess(time.monotonic() - started, 2)
        for client in stuck:
            client.sock.close()
        postern.log.wait("close", count=51)


class NumberTest(harness.PosternTest):
    def refused(self, port, source=None):
        """Connected, and closed without a greeting."""
        with pop3.Client(port, source=source) as client:
            said = client.rest()
            self.assertFalse(said.startswith(b"+OK"), said)

    def test_sessions_per_address(self):
        postern = self.start(limits={"sessions_per_address": 3})
        mine = [postern.connect(), postern.logged_in(), postern.connect_tls()]
        for port in (postern.pop3, postern.pop3s):
            self.refused(port)
        postern.log.wait("refused", why="sessions_per_address", address="127.0.0.1", count=2)
        others = [postern.logged_in(source="127.0.0.2"), postern.connect(host="::1")]
        for client in mine:  # each kind of session gives its slot back
            session = postern.session_of(client)
            client.sock.close()
            postern.log.wait("close", session=session)
            again = postern.logged_in()
            self.refused(postern.pop3)
            others.append(again)
        for client in others:
            client.sock.close()

    def test_sessions_in_all(self):
        postern = self.start(limits={"sessions": 3, "sessions_per_address": 2})
        mine = [postern.connect(), postern.connect(), postern.connect(source="127.0.0.2")]
        self.refused(postern.pop3, source="127.0.0.3")
        postern.log.wait("refused", why="sessions", address="127.0.0.3")
        session = postern.session_of(mine[0])
        mine[0].sock.close()
        postern.log.wait("close", session=session)
        with postern.logged_in(source="127.0.0.3"):
            pass
        for client in mine:
            client.sock.close()

    def test_three_hundred_sessions_at_once(self):
        postern = self.start()
        wanted = 300
        # courierpop3d moves a message that was read from one name to another, under the feet of the other sessions: so
        # all are read once before.
        with postern.logged_in() as client:
            for number in range(len(harness.MESSAGES)):
                client.ok(b"RETR %d" % (number + 1))
                client.lines()
            client.ok(b"QUIT")
        postern.log.wait("close")

        def log_in(_):
            client = poplib.POP3("127.0.0.1", postern.pop3, timeout=60)
            client.stls(postern.trust())
            client.user(USER)
            client.pass_(postern.password)
            return client

        def use(client):
            count = client.stat()[0]
            message = client.retr(1)[1]
            client.quit()
            return count, message

        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            clients = list(pool.map(log_in, range(wanted)))
            postern.log.wait("login", count=1 + wanted)
            self.assertEqual(len(postern.log.find("close")), 1)  # all of them at the same time
            expected = len(harness.MESSAGES), harness.MESSAGES[0].splitlines()
            for used in pool.map(use, clients):
                self.assertEqual(used, expected)
        postern.log.wait("backend_end", count=1 + wanted)
        self.check_all_closed(postern)
        self.assertEqual(len({event.session for event in postern.log.find("close")}), 1 + wanted)

    def test_a_port_scan_starts_nothing(self):
        starts = self.installation.path("starts-%d" % os.getpid())
        counted = self.installation.path("counted")
        with open(starts, "w", encoding="utf-8"):
            os.chmod(starts, 0o666)
        postern = self.prepare()
        service = postern.settings["service.pop3"]
        for command in ("checkpassword", "backend"):
            service[command] = [counted, starts, *service[command]]
        postern.write("postern.toml", harness.toml_sections(postern.settings))
        self.addCleanup(self.end, postern)
        postern.start()
        for number in range(1000):
            sock = socket.create_connection(("127.0.0.1", (postern.pop3, postern.pop3s)[number % 2]), 30)
            if number % 4 >= 2:  # FIN for some, RST for others
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        self.assertEqual(os.path.getsize(starts), 0)
        with postern.logged_in() as client:
            client.ok(b"STAT")
            # Not all 1000: a reset may take a connection out of the queue before it is accepted.
            postern.log.wait("accept", count=500)
            with open(starts, encoding="utf-8") as file:
                self.assertEqual(file.read().count("started"), 2)  # this one's checkpassword and backend
        postern.log.wait("login")
        self.assertEqual(len(postern.log.find("login")), 1)
        self.assertEqual(postern.log.find("login_failed"), [])
        self.check_all_closed(postern)

    def check_all_closed(self, postern):
        """Every session that was accepted is over, and its worker too."""
        accepted = len(postern.log.find("accept"))
        postern.log.wait("close", count=accepted, seconds=60)
        sessions = [{event.session for event in postern.log.find(name)} for name in ("accept", "close")]
        self.assertEqual(*sessions)
        eventually(lambda: not postern.workers(), lambda: postern.workers())


if __name__ == "__main__":
    harness.main()
