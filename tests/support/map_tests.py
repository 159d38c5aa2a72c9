"""What the tests of vmail-mapd share: its maps asked by postmap -q, and a socketmap client that says what it likes."""

import socket


class TempFail(Exception):
    """Postfix would defer the mail; the reason that it was given."""


def postmap(postfix, table, key):
    """postmap -q with the absolute path of the socket: the answer, or None when there is none."""
    done = postfix.command("postmap", "-q", key, f"socketmap:unix:{postfix.queue}/vmailkit/maps:{table}")
    if done.returncode == 0:
        return done.stdout.rstrip("\n")
    if done.stderr.strip():
        raise TempFail(done.stderr.strip())
    return None


class MapClient:
    """A connection to the socket of the maps."""

    def __init__(self, postfix):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(f"{postfix.queue}/vmailkit/maps")

    def send(self, request):
        self.socket.sendall(b"%d:%s," % (len(request), request))

    def reply(self):
        """The payload of the next reply; None at the end of the stream."""
        length = b""
        while not length.endswith(b":"):
            byte = self.socket.recv(1)
            if not byte:
                return None
            length += byte
        payload = b""
        while len(payload) <= int(length[:-1]):
            payload += self.socket.recv(int(length[:-1]) + 1 - len(payload))
        assert payload[-1:] == b",", payload
        return payload[:-1]

    def ask(self, request):
        self.send(request)
        return self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
