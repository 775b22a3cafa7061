"""Clients that vanish, by FIN and by RST: nothing of them stays, neither process nor descriptor nor slot, and nothing is deleted
that they did not commit. What is the same in every protocol."""

import itertools
import socket
import struct

import harness
from harness import eventually

SESSIONS_AT_ONCE = 40  # vanished ones may still be on their way out; a leak of more than these is refused service


class Vanishing:
    """Beside a dialect and harness.PosternTest."""

    SERVICE = {}

    def setUp(self):
        super().setUp()
        # Who ends only with the time for the login has been forgotten.
        limits = {"sessions": SESSIONS_AT_ONCE, "handshake_seconds": 5, "login_seconds": 120}
        self.postern = self.start(service=self.SERVICE, limits=limits)
        self.postern.logged_in().ok(self.QUIT)
        self.before = self.descriptors()
        self.messages = self.postern.messages()

    def tearDown(self):
        self.assertEqual(self.descriptors(), self.before)
        self.assertEqual(self.postern.messages(), self.messages)
        self.postern.logged_in().ok(self.QUIT)
        for trouble in ("refused", "worker_died", "worker_failed", "bad_request", "role_died"):
            self.assertEqual(self.postern.log.find(trouble), [])

    def descriptors(self):
        """Of every role, once no session is left."""
        eventually(lambda: not self.postern.workers(), lambda: self.postern.workers())
        find = self.postern.log.find
        self.postern.log.until(lambda: len(find("accept")) == len(find("close")), "end of all sessions")
        eventually(lambda: len(find("login")) == len(find("backend_end")), "end of all backends")
        if not harness.ROOT:
            return None
        return {role: len(self.postern.role(role)[0].descriptors()) for role in harness.ROLES}

    def vanish(self, client, reset):
        if reset:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()

    def make_room(self):
        """Waits until few sessions are left, so that none is refused."""
        find = self.postern.log.find
        self.postern.log.until(lambda: len(find("accept")) - len(find("close")) < SESSIONS_AT_ONCE // 2, "room")


class Dialogue(Vanishing):
    """At each step of a session: before it, in the middle of its command, and while its answer is under way."""

    def test_in_the_dialogue(self):
        script = list(self.script(self.postern))
        for reset, steps in itertools.product((False, True), range(len(script) + 1)):
            for last in ("answered", "unanswered", "half"):  # the last step
                client = self.postern.connect()
                self.make_room()
                for number, (said, answer) in enumerate(script[:steps]):
                    whole = number + 1 < steps or last == "answered"
                    if said is None:
                        client.handshake(self.postern.trust())
                    elif whole:
                        client.send(said)
                        self.take(client, answer)
                    else:
                        client.send(said if last == "unanswered" else said[: len(said) // 2 + 1])
                self.vanish(client, reset)
        # What a session that was lost in the middle of a login had started is over too.
        eventually(lambda: len(self.postern.log.find("login")) == len(self.postern.log.find("backend_end")), "ends")

    def take(self, client, answer):
        """Lines up to one that begins so."""
        while not client.line().startswith(answer):
            pass
