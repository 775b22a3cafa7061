"""What postern costs beside its peers: processor time of the server, waiting time of the client, memory."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, "tests/e2e")

import harness  # noqa: E402
import mailboxes  # noqa: E402
import meter  # noqa: E402
import peers  # noqa: E402
import strangers  # noqa: E402
from protocols import PROTOCOLS  # noqa: E402
from results import Goal, Results, percentile  # noqa: E402

MIB = 1 << 20
KINDS = {
    "pop3": (peers.Postern, peers.PosternLogin, peers.Stunnel, strangers.Courier),
    "imap": (peers.Postern, peers.PosternLogin, strangers.Courier, strangers.Dovecot),
}
SCENARIOS = ("starttls", "implicit", "login-starttls", "login-implicit", "login-beside", "replies", "idle", "bulk")
DELAYED_ACK_US = 40000  # a reply that waits for one is held back by Nagle's algorithm

# What is aimed at.
GOALS = {
    "pop3": (
        Goal("starttls", "CPU", 2.0, "stunnel"),
        Goal("implicit", "CPU", 2.0, "stunnel"),
        Goal("login-starttls", "CPU", 0.7, "courier"),
        Goal("login-implicit", "CPU", 0.7, "courier"),
        Goal("replies", "p99", DELAYED_ACK_US),
        Goal("idle", "PSS/session, logged in", 0.6, "courier"),
        Goal("bulk", "CPU/MiB, without", 0.9, "stunnel"),
    ),
    "imap": (
        Goal("login-implicit", "CPU", 0.6, "courier"),
        Goal("login-implicit", "CPU", 0.35, "dovecot"),
        Goal("replies", "p99", DELAYED_ACK_US),
        Goal("idle", "PSS/session, logged in", 0.6, "courier"),
    ),
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bazel run //tests/bench:PROTOCOL --", description=__doc__)
    parser.add_argument("protocol", choices=sorted(KINDS), help=argparse.SUPPRESS)
    parser.add_argument("--connections", type=int, default=100, help="in each measurement and round; half the logins")
    parser.add_argument("--rounds", type=int, default=5, help="each takes all peers in turn")
    parser.add_argument("--parallel", type=int, default=64, help="clients at a time, beside the measurement with one")
    parser.add_argument("--idle", type=int, default=100, help="idle sessions")
    parser.add_argument("--mib", type=int, default=64, help="of the large message")
    parser.add_argument("--peers", help="only these, comma-separated")
    parser.add_argument("--only", default=",".join(SCENARIOS), help="scenarios, comma-separated")
    parser.add_argument("--quick", action="store_true", help="a smoke run of 15 seconds; its numbers mean little")
    parser.add_argument("--json", metavar="FILE", help="the results, also there")
    parser.add_argument("--directory", default=".", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if set(arguments.only.split(",")) - set(SCENARIOS):
        parser.error("scenarios are " + ", ".join(SCENARIOS))
    if arguments.quick:
        arguments.connections, arguments.rounds, arguments.idle, arguments.mib = 20, 1, 10, 8
    return arguments


class Client:
    """tests/bench/client, with sessions that stay open for as long as the `with`."""

    def __init__(self, command):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.line() != "ready":
            raise RuntimeError("%s failed" % " ".join(command))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def line(self):
        return self._process.stdout.readline().strip()

    def ask(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.line()


class Bench:
    def __init__(self, arguments, rivals, results):
        self.arguments = arguments
        self.peers = rivals
        self.results = results
        self.latencies = {}  # (scenario, what, peer): [microseconds]
        self.at_rest = {}
        for peer in rivals:  # what the first client alone pays for: processes and caches for all, files in the mailbox
            self.times(peer, "implicit", "load", 1, 1, user="demo")
            self.at_rest[peer] = meter.quiet(peer.meter)

    def alternate(self, measure, *arguments):
        for number in range(self.arguments.rounds):
            # In turn, and each is first and last in its turn: what else the machine does meets all alike.
            for peer in self.peers if number % 2 == 0 else reversed(self.peers):
                measure(peer, *arguments)

    def command(self, peer, port, *words, user=None):
        mode = "starttls" if port == "starttls" else "implicit"
        login = [user, mailboxes.PASSWORD] if user and peer.logins else []
        whole = [self.arguments.protocol, mode, peer.ports[port], *words, *login]
        return ["tests/bench/client", *map(str, whole)]

    def times(self, *arguments, **login):
        """(name, microseconds) of each reply."""
        done = subprocess.run(
            self.command(*arguments, **login), stdout=subprocess.PIPE, text=True, timeout=300, check=True
        )
        lines = [line.rpartition(" ") for line in done.stdout.splitlines()]
        return [(name, int(micros)) for name, _, micros in lines]

    def load(self, peer, scenario, mode, parallel, user, at_rest=None):
        """One round of connections: processor time of the server for each."""
        if user and not peer.logins:
            return
        at_rest = at_rest or self.at_rest[peer]
        count = max(1, self.arguments.connections // (2 if user else 1))
        before = meter.settled(peer.meter, at_rest)
        times = self.times(peer, mode, "load", count, parallel, user=user)
        cpu = (meter.settled(peer.meter, at_rest) - before) / count
        clients = "%d client%s" % (parallel, "" if parallel == 1 else "s")
        self.results.add(scenario, "CPU/connection, " + clients, "us", peer.name, cpu)
        for name, micros in times:
            if name == "reply" or (user and parallel == 1):  # with many clients, one reply's time says nothing
                self.latencies.setdefault((scenario, name + ", " + clients, peer.name), []).append(micros)

    def beside(self, peer):
        """Logins while another session of the user goes on: what sessions of one user share is there."""
        if peer.logins:
            with Client(self.command(peer, "implicit", "hold", 1, user="demo")):
                self.load(peer, "login-beside", "implicit", 1, "demo", meter.quiet(peer.meter))

    def replies(self, peer):
        """One session that goes on."""
        if peer.logins:
            for name, micros in self.times(peer, "implicit", "replies", self.arguments.connections, user="demo"):
                if name != "reply":
                    self.latencies.setdefault(("replies", name, peer.name), []).append(micros)

    def add_latencies(self):
        for (scenario, what, name), micros in self.latencies.items():
            for percent in (50, 99):
                self.results.add(scenario, "p%d %s" % (percent, what), "us", name, percentile(micros, percent))
        self.latencies.clear()

    def idle(self, peer, logged_in):
        """Memory of each of the idle sessions: the difference they make."""
        meter.settled(peer.meter, self.at_rest[peer])
        before = meter.memory_kib(peer.meter.pids())
        port = "login" if logged_in else "implicit"
        count = self.arguments.idle
        with Client(self.command(peer, port, "hold", count, user=logged_in and "demo")):
            meter.settled(peer.meter, 1 << 30)  # all of them stay; what makes them may not be done
            after = meter.memory_kib(peer.meter.pids())
        state = "logged in" if logged_in else "not logged in"
        for quantity, old, new in zip(("PSS", "private"), before, after):
            self.results.add("idle", "%s/session, %s" % (quantity, state), "KiB", peer.name, (new - old) / count)

    def bulk(self, peer):
        """The large message, the backend's own processor time taken off: it is the same program before most of them."""
        with Client(self.command(peer, "login", "bulk", user="big")) as client:
            before = meter.settled(peer.meter, 1 << 30)
            backend_before = meter.run_us(peer.meter.pids(), peer.backend)
            mib = int(client.ask()) / MIB
            after = meter.settled(peer.meter, 1 << 30)
            backend = meter.run_us(peer.meter.pids(), peer.backend) - backend_before
        self.results.add("bulk", "CPU/MiB, without backend", "us", peer.name, (after - before - backend) / mib)
        self.results.add("bulk", "CPU/MiB, backend", "us", peer.name, backend / mib)

    def run(self):
        for scenario in self.arguments.only.split(","):
            if scenario == "login-beside":
                self.alternate(self.beside)
            elif scenario == "replies":
                self.alternate(self.replies)
            elif scenario == "idle":
                for logged_in in (False, True):
                    self.alternate(self.idle, logged_in)
            elif scenario == "bulk":
                self.alternate(self.bulk)
            else:
                login, _, mode = scenario.rpartition("-")
                for parallel in (1, self.arguments.parallel):
                    self.alternate(self.load, scenario, mode, parallel, "demo" if login else None)
            self.add_latencies()


def install(arguments):
    installation = harness.installation()
    installation.peers = os.environ.get("POSTERN_PEERS") or "/var/cache/postern/peers"
    subprocess.run(["tests/bench/fetch-peers", installation.peers], check=True)
    mail_directory = tempfile.mkdtemp(prefix="mail-", dir=installation.directory)
    mail = mailboxes.Mail(mail_directory, arguments.mib * MIB)
    return installation, mail


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and the peers end, too
    installation, mail = install(arguments)
    kinds = KINDS[arguments.protocol]
    if arguments.peers:
        kinds = [kind for kind in kinds if kind.name in arguments.peers.split(",")]
    results = Results(GOALS[arguments.protocol])
    rivals = []
    try:
        rivals.extend(kind(installation.directory, PROTOCOLS[arguments.protocol]) for kind in kinds)
        peers.replace_etc(installation, rivals)
        for peer in rivals:
            peer.start(mail, installation)
        Bench(arguments, rivals, results).run()
        counted_by = rivals[0].meter.kind
    finally:
        for peer in rivals:
            peer.stop()
    results.print_table([kind.name for kind in kinds])
    print("TLS 1.3, P-256, no resumption; passwords hashed with SHA-256-crypt of 1000 rounds; CPU from %s" % counted_by)
    if arguments.json:
        with open(os.path.join(arguments.directory, arguments.json), "w", encoding="utf-8") as file:
            machine = {"kernel": platform.release(), "processors": os.cpu_count(), "cpu_counted_by": counted_by}
            whole = {"machine": machine, "arguments": vars(arguments), "results": list(results.rows())}
            json.dump(whole, file, indent=1)


if __name__ == "__main__":
    main()
