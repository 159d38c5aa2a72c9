"""SCRAM-SHA-256 (RFC 5802, RFC 7677) on the client's side, and the keys that a server stores for it."""

import base64
import hashlib
import hmac
import os


def _keys(password, salt, iterations):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    return hmac.digest(salted, b"Client Key", "sha256"), hmac.digest(salted, b"Server Key", "sha256")


def stored_keys(password, iterations=4096):
    """As vmailkit keeps them: iterations,salt,StoredKey,ServerKey."""
    salt = os.urandom(16)
    client_key, server_key = _keys(password, salt, iterations)
    stored = hashlib.sha256(client_key).digest()
    return ",".join([str(iterations)] + [base64.b64encode(part).decode() for part in (salt, stored, server_key)])


class ScramClient:
    """An exchange, as smtplib.SMTP.auth() wants it: called without a challenge, and then with each of them."""

    def __init__(self, user, password):
        self.password = password
        nonce = base64.b64encode(os.urandom(18)).decode()
        self.first = "n=" + user.replace("=", "=3D").replace(",", "=2C") + ",r=" + nonce
        self.expected = None
        self.server_proved = False

    def __call__(self, challenge=None):
        if challenge is None:
            return "n,," + self.first
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        if self.expected is not None:
            self.server_proved = fields.get("v") == self.expected
            return ""
        client_key, server_key = _keys(self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        without_proof = "c=biws,r=" + fields["r"]
        message = ",".join((self.first, challenge.decode(), without_proof)).encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.expected = base64.b64encode(hmac.digest(server_key, message, "sha256")).decode()
        return without_proof + ",p=" + base64.b64encode(proof).decode()
