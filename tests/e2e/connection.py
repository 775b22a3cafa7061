"""A connection to a server of lines, and TLS on it; nothing of any protocol above."""

import socket
import ssl

# What a client sees of a server that went away under it, or does not answer.
BROKEN = (EOFError, TimeoutError, ConnectionResetError, BrokenPipeError, ssl.SSLError)


def verifying(cert, **changes):
    """A context that believes in this certificate alone. `changes` are attributes to set, in order."""
    context = ssl.create_default_context(cafile=cert)
    for name, value in changes.items():
        setattr(context, name, value)
    return context


class Connection:
    """Reads no octet past the line it returns, so that nothing can hide over the change to TLS."""

    def __init__(self, port, host="127.0.0.1", source=None, tls=None, seconds=30):
        self.sock = socket.create_connection((host, port), seconds, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local = self.sock.getsockname()
        if tls:
            self.handshake(tls)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def handshake(self, context, name="localhost"):
        self.sock = context.wrap_socket(self.sock, server_hostname=name, suppress_ragged_eofs=False)

    def send(self, octets):
        """One segment, and under TLS one record (up to 16 KiB)."""
        self.sock.sendall(octets)

    def line(self):
        """The next line without its CRLF. EOFError at a clean end; under TLS ssl.SSLEOFError at one without close_notify."""
        octets = b""
        while not octets.endswith(b"\n"):
            octet = self.sock.recv(1)
            if not octet:
                raise EOFError("the server closed after %r" % octets)
            octets += octet
        if not octets.endswith(b"\r\n"):
            raise AssertionError("a line without CR: %r" % octets)
        return octets[:-2]

    def exactly(self, octets):
        data = bytearray()
        while len(data) < octets:
            part = self.sock.recv(min(octets - len(data), 1 << 16))
            if not part:
                raise EOFError("the server closed %d octets early" % (octets - len(data)))
            data += part
        return bytes(data)

    def rest(self):
        """Everything until the server closes, however it does so."""
        data = b""
        try:
            while True:
                part = self.sock.recv(4096)
                if not part:
                    return data
                data += part
        except (ConnectionResetError, ssl.SSLEOFError):
            return data


class Engine:
    """TLS with the records in hand: one thread can read and write at the same time, close its own side only, and send a
    record in pieces."""

    def __init__(self, sock, context):
        self.sock = sock
        self.closed = False  # close_notify has come
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    def records(self):
        """What waits to be sent."""
        return self._outgoing.read()

    def hello(self):
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.records()

    def take(self):
        """Waits for octets from the server; False at its end."""
        octets = self.sock.recv(1 << 16)
        if octets:
            self._incoming.write(octets)
        else:
            self._incoming.write_eof()
        return bool(octets)

    def plain(self):
        """All plain text there is so far."""
        text = b""
        try:
            while True:
                text += self.tls.read(1 << 16)
        except ssl.SSLWantReadError:
            return text
        except ssl.SSLZeroReturnError:
            self.closed = True
            return text

    def handshake(self, send=None):
        send = send or self.sock.sendall
        while True:
            try:
                self.tls.do_handshake()
                send(self.records())
                return self
            except ssl.SSLWantReadError:
                send(self.records())
                self.take()

    def until(self, end):
        text = b""
        while not text.endswith(end):
            self.take()
            text += self.plain()
        return text

    def sealed(self, text):
        """The octets that carry it."""
        self.tls.write(text)
        return self.records()

    def send(self, text):
        self.sock.sendall(self.sealed(text))

    def close_own_side(self):
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.sock.sendall(self.records())


class ClearText:
    """As Engine, without TLS."""

    def __init__(self, sock):
        self.sock = sock
        self._incoming = b""

    def sealed(self, text):
        return text

    def take(self):
        self._incoming = self.sock.recv(1 << 16)
        return bool(self._incoming)

    def plain(self):
        return self._incoming
