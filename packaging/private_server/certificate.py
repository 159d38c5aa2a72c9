"""A certificate for the private servers."""

import os
import subprocess

from .process import ServerError


def make_certificate(folder, name):
    """Makes a self-signed certificate for that host name, valid for a month; returns (certificate file, key file)."""
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    done = subprocess.run(
        ["openssl", "req", "-x509", "-days", "30", "-nodes"]
        + ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
        + ["-out", certificate, "-keyout", key],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerError("openssl made no certificate:\n" + done.stderr.decode(errors="replace"))
    os.chmod(key, 0o600)
    return certificate, key
