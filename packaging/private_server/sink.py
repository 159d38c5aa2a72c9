"""The world outside: an SMTP server that takes every message and keeps it."""

import socketserver
import threading

from .process import wait_until


class _Session(socketserver.StreamRequestHandler):
    def handle(self):
        self._say("220 sink.vmailkit.test ESMTP")
        sender, recipients = "", []
        for line in self.rfile:
            verb = line.split(b" ", 1)[0].strip().upper()
            text = line.decode(errors="replace").strip()
            if verb in (b"EHLO", b"HELO"):
                self._say("250 sink.vmailkit.test")
            elif verb == b"MAIL":
                sender, recipients = text.partition("<")[2].partition(">")[0], []
                self._say("250 2.1.0 ok")
            elif verb == b"RCPT":
                recipients.append(text.partition("<")[2].partition(">")[0])
                self._say("250 2.1.5 ok")
            elif verb == b"DATA":
                self._say("354 go on")
                self.server.take(sender, recipients, self._message())
                self._say("250 2.0.0 kept")
            elif verb == b"QUIT":
                self._say("221 2.0.0 bye")
                return
            else:
                self._say("250 2.0.0 ok")

    def _message(self):
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def _say(self, line):
        self.wfile.write(line.encode() + b"\r\n")


class Sink(socketserver.ThreadingTCPServer):
    """Listens on 127.0.0.1:port while it is entered. messages are (sender, recipients, text)."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Session)
        self.port = self.server_address[1]
        self.messages = []

    def take(self, sender, recipients, text):
        self.messages.append((sender, recipients, text.decode(errors="replace")))

    def wait_for(self, recipient, seconds=60):
        """The first message to that recipient, once there is one."""
        return wait_until(
            lambda: next((m for m in self.messages if recipient in m[1]), None), seconds, f"mail to {recipient}"
        )

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
