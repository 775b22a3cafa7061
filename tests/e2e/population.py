"""Many sessions in every state at once, and whether each is still alive."""

import concurrent.futures
import os

import harness
from harness import USER
from pop3 import BROKEN

LARGE = b"Subject: large\n\n" + b"".join(b"%07d 89abcdef 89abcdef 89abcdef 89abcdef 89abcdef\n" % i for i in range(150000))
ON_THE_WIRE = LARGE.replace(b"\n", b"\r\n") + b".\r\n"


def hold_large_message(postern):
    """The mailbox holds one message, too large for the buffers. Read before: courierpop3d moves those that are not."""
    for name in os.listdir(postern.maildir + "/new"):
        os.unlink(postern.maildir + "/new/" + name)
    name = postern.maildir + "/cur/1700000100.9.localhost:2,S"
    with open(name, "wb") as file:
        file.write(LARGE)
    if harness.ROOT:
        os.chown(name, postern.mail_uid, postern.mail_uid)


class Member:
    """A session in one of the states. `alive` goes a step further in it and is true if that was answered."""

    def __init__(self, postern):
        self.postern = postern
        self.client = self.enter()
        self.session = postern.session_of(self.client)

    def enter(self):
        raise NotImplementedError

    def step(self):
        raise NotImplementedError

    def alive(self):
        try:
            self.step()
            return True
        except BROKEN:
            return False

    def close(self):
        self.client.sock.close()


class Greeted(Member):
    def enter(self):
        return self.postern.connect()

    def step(self):
        self.client.capabilities()


class InTls(Member):
    def enter(self):
        return self.postern.connect_stls()

    def step(self):
        self.client.capabilities()


class LoggedIn(Member):
    def enter(self):
        return self.postern.logged_in()

    def step(self):
        self.client.ok(b"STAT")


class Retrieving(Member):
    """Reads the large message in parts; most of it the backend has not yet been able to send."""

    def enter(self):
        client = self.postern.connect_tls()
        client.login(USER, self.postern.password)
        client.ok(b"RETR 1")
        self.taken = 0  # octets of it
        return client

    def left(self):
        return len(ON_THE_WIRE) - self.taken

    def take(self, octets):
        if self.client.exactly(octets) != ON_THE_WIRE[self.taken : self.taken + octets]:
            raise AssertionError("the message is not what it was")
        self.taken += octets

    def step(self):
        self.take(20000)

    def finish(self):
        self.take(self.left())
        self.client.ok(b"QUIT")


def gather(postern, each, kinds=(Greeted, InTls, LoggedIn, Retrieving)):
    """`each` sessions of every kind, in turn."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: kinds[number % len(kinds)](postern), range(each * len(kinds))))


def dead(members):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return [member for member, alive in zip(members, pool.map(lambda member: member.alive(), members)) if not alive]


def close(members):
    for member in members:
        member.close()
