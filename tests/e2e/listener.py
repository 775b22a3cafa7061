"""A mail server on a socket, which says back what it hears."""

import socket
import struct
import threading


def pop3(line):
    """The answer, and whether it is the last."""
    ends = line == b"QUIT\r\n"
    return b"+OK bye\r\n" if ends else b"+OK you said " + line, ends


def imap(line):
    tag, _, command = line.partition(b" ")
    ends = command == b"LOGOUT\r\n"
    return (b"* BYE bye\r\n" if ends else b"") + tag + b" OK you said " + command, ends


class Listener:
    """A backend elsewhere: accepts, reads a header if there is to be one, greets, and answers lines as `protocol` says."""

    def __init__(self, address, header, greeting=b"+OK elsewhere\r\n", protocol=pop3):
        self.sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections may linger on the port
        self.sock.bind(address)
        self.sock.listen()
        self.header, self.greeting, self.protocol, self.headers = header, greeting, protocol, []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.sock.close()

    def _serve(self):
        try:
            while True:
                connection, _ = self.sock.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def _talk(self, connection):
        with connection, connection.makefile("rb") as stream:
            if self.header == 1:
                self.headers.append(stream.readline())
            elif self.header == 2:
                start = stream.read(16)
                self.headers.append(start + stream.read(struct.unpack(">H", start[14:])[0]))
            connection.sendall(self.greeting)
            for line in stream:
                answer, ends = self.protocol(line)
                connection.sendall(answer)
                if ends:
                    return
