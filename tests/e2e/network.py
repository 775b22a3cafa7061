"""Two network namespaces and a cable between them: a client can vanish as one does whose battery is taken out. Root only."""

import concurrent.futures
import ctypes
import os
import subprocess

from processes import eventually

SERVER, STAYING, VANISHING = "10.0.0.1", "10.0.0.2", "10.0.0.3"
CLIENTS_MAC = "02:00:00:00:00:02"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """Until close()."""

    def __init__(self):
        self._holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.pid = self._holder.pid
        self.path = "/proc/%d/ns/net" % self.pid
        own = os.readlink("/proc/self/ns/net")
        eventually(lambda: os.readlink(self.path) != own, "a network namespace")
        # Each thread is in a namespace, and the sockets that it makes are of that one.
        self._thread = concurrent.futures.ThreadPoolExecutor(1, initializer=self._enter)

    def _enter(self):
        with open(self.path, "rb") as namespace:
            if _libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def command(self):
        """What starts a program in it, and becomes that program."""
        return ["nsenter", "--net=" + self.path]

    def ip(self, arguments):
        subprocess.run([*self.command(), "ip", *arguments.split()], check=True)

    def call(self, function, *arguments, **keywords):
        """The function's result; the sockets that it makes are in the namespace."""
        return self._thread.submit(function, *arguments, **keywords).result()

    def close(self):
        self._thread.shutdown()
        self._holder.stdin.close()
        self._holder.wait()


class Network:
    """`server` has the address SERVER, `client` the two others."""

    def __init__(self):
        self.server, self.client = Namespace(), Namespace()
        peer = "peer name cable address %s netns %d" % (CLIENTS_MAC, self.client.pid)
        self.server.ip("link add cable type veth " + peer)
        for namespace, addresses in ((self.server, (SERVER,)), (self.client, (STAYING, VANISHING))):
            for address in addresses:
                namespace.ip("address add %s/24 dev cable" % address)
            for device in ("lo", "cable"):
                namespace.ip("link set %s up" % device)
        # As if behind a router: nobody tells the server by ARP that there is no such host any more.
        for address in (STAYING, VANISHING):
            self.server.ip("neighbour replace %s lladdr %s dev cable nud permanent" % (address, CLIENTS_MAC))

    def vanish(self):
        """What is sent to VANISHING from now on is answered by nothing."""
        self.client.ip("address delete %s/24 dev cable" % VANISHING)

    def close(self):
        self.client.close()
        self.server.close()
