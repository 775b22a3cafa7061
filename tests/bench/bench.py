"""What postern costs beside stunnel and courier: processor time of the server, waiting time of the client, memory."""

import argparse
import json
import os
import platform
import ssl
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, "tests/e2e")

import harness  # noqa: E402
import meter  # noqa: E402
import peers  # noqa: E402
from pop3 import Client  # noqa: E402

MIB = 1 << 20
KINDS = (peers.Postern, peers.PosternLogin, peers.Stunnel, peers.Courier)

# What is aimed at: (scenario, quantity begins with): (as often as this peer, at most).
GOALS = {
    ("stls", "CPU"): ("stunnel", 2.0),
    ("implicit", "CPU"): ("stunnel", 2.0),
    ("login-stls", "CPU"): ("courier", 0.7),
    ("login-implicit", "CPU"): ("courier", 0.7),
    ("idle", "PSS/session, logged in"): ("courier", 0.6),
    ("bulk", "CPU/MiB, without"): ("stunnel", 0.9),
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bazel run //tests/bench:pop3 --", description=__doc__)
    parser.add_argument("--connections", type=int, default=100, help="in each measurement and round; half the logins")
    parser.add_argument("--rounds", type=int, default=5, help="each takes all peers in turn")
    parser.add_argument("--parallel", type=int, default=64, help="clients at a time, beside the measurement with one")
    parser.add_argument("--idle", type=int, default=100, help="idle sessions")
    parser.add_argument("--mib", type=int, default=64, help="of the large message")
    parser.add_argument("--peers", default=",".join(kind.name for kind in KINDS), help="comma-separated")
    parser.add_argument("--only", help="of stls, implicit, login-stls, login-implicit, idle, bulk; comma-separated")
    parser.add_argument("--quick", action="store_true", help="a smoke run of 15 seconds; its numbers mean little")
    parser.add_argument("--json", metavar="FILE", help="the results, also there")
    parser.add_argument("--directory", default=".", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.connections, arguments.rounds, arguments.idle, arguments.mib = 20, 1, 10, 8
    return arguments


class Results:
    """Rows of one scenario, one quantity: the median over the rounds, beside the peers."""

    def __init__(self):
        self._samples = {}  # (scenario, quantity, unit): {peer: [number]}

    def add(self, scenario, quantity, unit, peer, number):
        self._samples.setdefault((scenario, quantity, unit), {}).setdefault(peer, []).append(number)

    def rows(self):
        for (scenario, quantity, unit), by_peer in self._samples.items():
            row = {"scenario": scenario, "quantity": quantity, "unit": unit}
            for peer, numbers in by_peer.items():
                row[peer] = {"median": statistics.median(numbers), "min": min(numbers), "max": max(numbers)}
            for peer in ("stunnel", "courier"):
                for ours in ("postern", "postern-login"):
                    if ours in row and peer in row and row[peer]["median"] > 0:
                        row[ours + "/" + peer] = row[ours]["median"] / row[peer]["median"]
            for (goal_scenario, beginning), (peer, most) in GOALS.items():
                if scenario == goal_scenario and quantity.startswith(beginning) and "postern/" + peer in row:
                    row["goal"] = {"peer": peer, "most": most, "met": row["postern/" + peer] <= most}
            yield row

    def print_table(self, names):
        """Numbers, and behind each of ours the ratios to those of others."""
        others = [name for name in ("stunnel", "courier") if name in names]
        print("%-16s%-31s%-5s" % ("scenario", "quantity", "unit") + "".join("%14s" % name for name in names) + "  goal")
        for row in self.rows():
            line = "%-16s%-31s%-5s" % (row["scenario"], row["quantity"], row["unit"])
            line += "".join("%14.0f" % row[name]["median"] if name in row else "%14s" % "-" for name in names)
            if "goal" in row:
                goal = row["goal"]
                line += "  %.1f x %s: %s" % (goal["most"], goal["peer"], "met" if goal["met"] else "missed")
            print(line)
            for ours in ("postern", "postern-login"):
                ratios = ["%.2f x %s" % (row[ours + "/" + peer], peer) for peer in others if ours + "/" + peer in row]
                if ratios:
                    print("%20s = %s" % (ours, ", ".join(ratios)))


def percentile(numbers, percent):
    return sorted(numbers)[min(len(numbers) - 1, len(numbers) * percent // 100)]


class Bench:
    def __init__(self, arguments, rivals, results):
        self.arguments = arguments
        self.peers = rivals
        self.results = results
        self.at_rest = {peer: len(peer.meter.pids()) for peer in rivals}
        self.latencies = {}

    def alternate(self, measure, *arguments):
        for number in range(self.arguments.rounds):
            # In turn, and each is first and last in its turn: what else the machine does meets all alike.
            for peer in self.peers if number % 2 == 0 else reversed(self.peers):
                measure(peer, *arguments)

    def load(self, peer, mode, parallel, login):
        """One round of connections: processor time of the server for each."""
        if login and not peer.logins:
            return
        count = max(1, self.arguments.connections // (2 if login else 1))
        command = ["tests/bench/client", mode, str(peer.ports[mode]), str(count), str(parallel)]
        before = meter.settled(peer.meter, self.at_rest[peer])
        command += ["demo", peers.PASSWORD] if login else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
        cpu = (meter.settled(peer.meter, self.at_rest[peer]) - before) / count
        scenario = ("login-" if login else "") + mode
        clients = "%d client%s" % (parallel, "" if parallel == 1 else "s")
        self.results.add(scenario, "CPU/connection, " + clients, "us", peer.name, cpu)
        self.latencies.setdefault((scenario, clients, peer.name), []).extend(int(line) for line in done.stdout.split())

    def add_latencies(self):
        for (scenario, clients, name), micros in self.latencies.items():
            for percent in (50, 99):
                quantity = "p%d reply, %s" % (percent, clients)
                self.results.add(scenario, quantity, "us", name, percentile(micros, percent))
        self.latencies.clear()

    def connect(self, peer, port, logged_in):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = Client(peer.ports[port], tls=context).greeted()
        if logged_in and peer.logins:
            client.login(logged_in, peers.PASSWORD)
        return client

    def idle(self, peer, logged_in):
        """Memory of each of the idle sessions: the difference they make."""
        meter.settled(peer.meter, self.at_rest[peer])
        before = meter.memory_kib(peer.meter.pids())
        port = "login" if logged_in else "implicit"
        clients = [self.connect(peer, port, logged_in and "demo") for _ in range(self.arguments.idle)]
        meter.settled(peer.meter, 1 << 30)  # all of them stay; what makes them may not be done
        after = meter.memory_kib(peer.meter.pids())
        for client in clients:
            client.sock.close()
        state = "logged in" if logged_in else "not logged in"
        for quantity, old, new in zip(("PSS", "private"), before, after):
            each = (new - old) / len(clients)
            self.results.add("idle", "%s/session, %s" % (quantity, state), "KiB", peer.name, each)

    def bulk(self, peer):
        """RETR of the large message, the backend's own processor time taken off: it is the same program everywhere."""
        client = self.connect(peer, "login", "big")
        before = meter.settled(peer.meter, 1 << 30)
        backend_before = meter.run_us(peer.meter.pids(), peer.backend)
        client.ok(b"RETR 1")
        octets, tail = 0, b""
        while not tail.endswith(b"\r\n.\r\n"):
            part = client.sock.recv(1 << 16)
            if not part:
                raise RuntimeError("%s closed early" % peer.name)
            octets += len(part)
            tail = (tail + part)[-5:]
        after = meter.settled(peer.meter, 1 << 30)
        backend = meter.run_us(peer.meter.pids(), peer.backend) - backend_before
        client.send(b"QUIT\r\n")
        client.rest()
        client.sock.close()
        mib = octets / MIB
        self.results.add("bulk", "CPU/MiB, without backend", "us", peer.name, (after - before - backend) / mib)
        self.results.add("bulk", "CPU/MiB, backend", "us", peer.name, backend / mib)

    def run(self):
        wanted = self.arguments.only.split(",") if self.arguments.only else None
        for login in (False, True):
            for mode in ("stls", "implicit"):
                if wanted and ("login-" if login else "") + mode not in wanted:
                    continue
                for parallel in (1, self.arguments.parallel):
                    self.alternate(self.load, mode, parallel, login)
                self.add_latencies()
        if not wanted or "idle" in wanted:
            for logged_in in (False, True):
                self.alternate(self.idle, logged_in)
        if not wanted or "bulk" in wanted:
            self.alternate(self.bulk)


def install(arguments):
    installation = harness.installation()
    installation.peers = os.environ.get("POSTERN_PEERS") or "/var/cache/postern/peers"
    subprocess.run(["tests/bench/fetch-peers", installation.peers], check=True)
    peers.cache_libraries(installation)
    mail_directory = tempfile.mkdtemp(prefix="mail-", dir=installation.directory)
    mail = peers.Mail(mail_directory, arguments.mib * MIB, installation.slot.uids() + 5)
    return installation, mail


def main():
    arguments = parse_arguments()
    installation, mail = install(arguments)
    kinds = [kind for kind in KINDS if kind.name in arguments.peers.split(",")]
    results = Results()
    rivals = []
    try:
        for kind in kinds:
            rivals.append(kind(installation.directory))
            rivals[-1].start(mail, installation)
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
