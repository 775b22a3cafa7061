"""The log of a running postern: read by a thread, searched by tests with a deadline."""

import re
import threading
import time

LINE = re.compile(
    r"role=(?P<role>[a-z]+) pid=(?P<pid>\d+) (?:session=(?P<session>[0-9a-f]+) )?ev=(?P<name>[a-z0-9_]+)"
    r'(?P<fields>(?: [a-z0-9_]+=(?:"[^"]*"~?|[A-Za-z0-9._:/@+,-]+))*)'
)
FIELD = re.compile(r' ([a-z0-9_]+)=(?:"([^"]*)"~?|([^ ]+))')


class Event:
    """One line: role, pid, session (None if none), name, and the fields by key, with quotes taken off."""

    def __init__(self, match):
        self.line = match.group(0)
        self.role = match["role"]
        self.pid = int(match["pid"])
        self.session = match["session"] and int(match["session"], 16)
        self.name = match["name"]
        self.fields = {key: bare or quoted for key, quoted, bare in FIELD.findall(match["fields"])}

    def __repr__(self):
        return self.line

    def fits(self, name, wanted):
        own = {"role": self.role, "pid": self.pid, "session": self.session}
        return self.name == name and all(
            own[key] == value if key in own else self.fields.get(key) == str(value) for key, value in wanted.items()
        )


class EventLog:
    def __init__(self, stream):
        self.lines = []
        self.events = []
        self.ended = False  # end of file: no process holds the stream any longer
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream):
        for octets in stream:
            line = octets.decode("utf-8", "backslashreplace").rstrip("\n")
            match = LINE.fullmatch(line)
            with self._changed:
                self.lines.append(line)
                if match:
                    self.events.append(Event(match))
                self._changed.notify_all()
        stream.close()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def text(self):
        with self._changed:
            return "\n".join(self.lines)

    def until(self, condition, what, seconds=20):
        """The first true value of condition(), asked again at each line. At the deadline, or at the end of the log: an
        AssertionError that shows the log."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                value = condition()
                if value:
                    return value
                if self.ended or not self._changed.wait(max(0, deadline - time.monotonic())):
                    value = condition()
                    if value:
                        return value
                    shown = "\n".join(self.lines[-60:])
                    raise AssertionError("no %s %s; the log:\n%s" % (what, "any more" if self.ended else "yet", shown))

    def find(self, name, /, **fields):
        """All events of that name so far. role=, pid= and session= look at the stamp, the others at the fields."""
        with self._changed:
            return [event for event in self.events if event.fits(name, fields)]

    def wait(self, name, /, count=1, seconds=20, **fields):
        """The count-th such event, however long ago it came."""
        matching = lambda: [event for event in self.events if event.fits(name, fields)][count - 1 : count]
        return self.until(matching, "event %s %s (%d)" % (name, fields, count), seconds)[0]

    def wait_for_line(self, line, seconds=20):
        self.until(lambda: line in self.lines, "line %r" % line, seconds)

    def malformed(self):
        """Lines that are not events. Before `ready` postern may say what it likes."""
        with self._changed:
            if "ready" not in self.lines:
                return []
            later = self.lines[self.lines.index("ready") + 1 :]
            return [line for line in later if not LINE.fullmatch(line)]
