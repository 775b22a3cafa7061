"""The same two mailboxes for every peer, and the password of their users."""

import ctypes
import os

import harness

USERS = ("demo", "big")  # three small messages; one large one
PASSWORD = "Pw-of-the-benchmark"
HASH_SETTING = "$5$rounds=1000$postern$"  # SHA-256-crypt: the cheapest that all accept, so that it hides least


def hashed(password):
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return crypt(password.encode(), HASH_SETTING.encode()).decode()


class Mail:
    """Homes of both users, and the hash of their password."""

    def __init__(self, directory, big_octets):
        self.hash = hashed(PASSWORD)
        self._source = directory + "/messages"
        os.mkdir(self._source)
        line = b"The quick brown fox jumps over the lazy dog; then it does so once more.\n"
        head = b"From: a@localhost\nSubject: large\n\n"
        self._write("big.0", head + line * (big_octets // len(line)))
        for number, message in enumerate(harness.MESSAGES):
            self._write("demo.%d" % number, message)

    def _write(self, name, octets):
        with open(self._source + "/" + name, "wb") as file:
            file.write(octets)

    def make_homes(self, place, uid):
        """PLACE/USER/Maildir; messages are links to the one copy there is, which all can read."""
        for user in USERS:
            home = place + "/" + user
            for name in ("new", "cur", "tmp"):
                os.makedirs(home + "/Maildir/" + name)
            for name in sorted(os.listdir(self._source)):
                if name.startswith(user + "."):
                    os.link(self._source + "/" + name, home + "/Maildir/cur/1700000000.%s.localhost:2," % name)
            for parent, directories, files in os.walk(home):
                for name in [".", *directories, *files]:
                    os.chown(os.path.join(parent, name), uid, uid)


def userdb(mail, homes, owner):
    """What makeuserdb(8) makes of a userdb, as makedatprog wants it: {file: lines}."""
    who = "uid=%d|gid=%d" % (owner, owner)
    return {
        "userdb": "".join("%s\t%s|home=%s/%s|mail=%s/%s/Maildir\n" % (u, who, homes, u, homes, u) for u in USERS),
        "userdbshadow": "".join("%s\tsystempw=%s\n" % (user, mail.hash) for user in USERS),
    }
