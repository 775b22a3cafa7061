"""The numbers of a benchmark, beside those of the peers and beside what is aimed at."""

import statistics

OURS = ("postern", "postern-login")
THEIRS = ("stunnel", "courier", "dovecot")


def percentile(numbers, percent):
    return sorted(numbers)[min(len(numbers) - 1, len(numbers) * percent // 100)]


class Goal:
    """Of postern's number of one kind: at most so often as a peer's or, without a peer, at most that."""

    def __init__(self, scenario, beginning, most, peer=None):
        self.scenario, self.beginning, self.most, self.peer = scenario, beginning, most, peer

    def of(self, row):
        """None if it is not about this row."""
        number = row.get("postern/" + self.peer) if self.peer else row.get("postern", {}).get("median")
        if row["scenario"] != self.scenario or not row["quantity"].startswith(self.beginning) or number is None:
            return None
        return {"peer": self.peer, "most": self.most, "met": number <= self.most}


class Results:
    """Rows of one scenario, one quantity: the median over the rounds, beside the peers."""

    def __init__(self, goals):
        self._goals = goals
        self._samples = {}  # (scenario, quantity, unit): {peer: [number]}

    def add(self, scenario, quantity, unit, peer, number):
        self._samples.setdefault((scenario, quantity, unit), {}).setdefault(peer, []).append(number)

    def rows(self):
        for (scenario, quantity, unit), by_peer in self._samples.items():
            row = {"scenario": scenario, "quantity": quantity, "unit": unit}
            for peer, numbers in by_peer.items():
                row[peer] = {"median": statistics.median(numbers), "min": min(numbers), "max": max(numbers)}
            for peer in THEIRS:
                for ours in OURS:
                    if ours in row and peer in row and row[peer]["median"] > 0:
                        row[ours + "/" + peer] = row[ours]["median"] / row[peer]["median"]
            row["goals"] = [goal for goal in (goal.of(row) for goal in self._goals) if goal]
            yield row

    def print_table(self, names):
        """Numbers, and behind each of ours the ratios to those of others."""
        print("%-17s%-31s%-5s" % ("scenario", "quantity", "unit") + "".join("%14s" % name for name in names) + "  goal")
        for row in self.rows():
            line = "%-17s%-31s%-5s" % (row["scenario"], row["quantity"], row["unit"])
            line += "".join("%14.0f" % row[name]["median"] if name in row else "%14s" % "-" for name in names)
            for goal in row["goals"]:
                most = "%.2f x %s" % (goal["most"], goal["peer"]) if goal["peer"] else "%d" % goal["most"]
                line += "  %s: %s" % (most, "met" if goal["met"] else "missed")
            print(line)
            for ours in OURS:
                ratios = ["%.2f x %s" % (row[ours + "/" + peer], peer) for peer in THEIRS if ours + "/" + peer in row]
                if ratios:
                    print("%21s = %s" % (ours, ", ".join(ratios)))
