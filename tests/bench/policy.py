"""What the policy server costs: Postfix, and itself."""

import os
import socket
import subprocess
import time

from lab import ServerError, processor_time
from maps import filled_lab
from private_server import free_port
from report import ROUNDS, interleave

MESSAGES = 1_000
SESSIONS = 8
REQUESTS = 30_000
SERVICE = "check_policy_service { unix:vmailkit/policy, timeout=5s, default_action=DUNNO }"


def messages(labs, report):
    """A Postfix that takes messages to one recipient by smtp-source and discards them; maps and policy from vmail-mapd."""
    lab = filled_lab(labs)
    lab.start_daemon()
    ports = {"maps alone": lab.postfix.smtp_port, "with policy": free_port()}
    inet = f"127.0.0.1:{ports['with policy']}"
    # Nobody logs in, and no vmail-authd is there to be asked how; the proxymap of this Postfix serves mysql: alone.
    settings = ["virtual_transport=discard:", "local_recipient_maps=", "smtpd_sasl_auth_enable=no"]
    settings.append(f"vmailkit_policy={SERVICE}")
    _postconf(lab, "-e", *settings)
    _postconf(lab, "-M", f"{inet}/inet={inet} inet n - y - - smtpd")
    for name, value in (
        ("smtpd_recipient_restrictions", "permit_mynetworks,reject_unauth_destination,$vmailkit_policy"),
        ("smtpd_end_of_data_restrictions", "$vmailkit_policy"),
    ):
        _postconf(lab, "-P", f"{inet}/inet/{name}={value}")
    lab.postfix.reload()
    recipient = lab.keys("user", 1, known=1)[0]

    def send(port):
        start = time.monotonic()
        argv = ["smtp-source", "-s", SESSIONS, "-m", MESSAGES, "-l", 1000, "-f", "a@far-away.test", "-t", recipient]
        done = subprocess.run([*map(str, argv), f"127.0.0.1:{port}"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"smtp-source ended with status {done.returncode}:\n{done.stderr}")
        return MESSAGES / (time.monotonic() - start)

    for port in ports.values():
        send(port)
    rates = interleave({name: lambda port=port: send(port) for name, port in ports.items()})
    case = f"messages to one recipient, {SESSIONS} sessions (smtp-source)"
    report.add(case, "messages/s", rates["with policy"], (">=", 0.95), "maps alone", rates["maps alone"])


def decision(labs, report):
    """Processor time of vmail-mapd for a request, from memory and far from the limits."""
    lab = filled_lab(labs)
    lab.configure("policy", limits=["messages 100000000/1d", "recipients 100000000/1d"])
    lab.start_daemon()
    login, recipient = lab.keys("user", 2, known=1)
    common = {"request": "smtpd_access_policy", "protocol_name": "ESMTP", "client_address": "192.0.2.1", "size": 1000}
    client = {**common, "sender": login, "sasl_username": login, "sasl_method": "PLAIN", "queue_id": "4abc"}
    requests = {
        "RCPT from outside": {**common, "protocol_state": "RCPT", "sender": "a@far-away.test", "recipient": recipient},
        "RCPT of a login": {**client, "protocol_state": "RCPT", "recipient": recipient, "instance": "1.2.3"},
        "END-OF-MESSAGE of a login": {**client, "protocol_state": "END-OF-MESSAGE", "recipient_count": 1},
    }
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(os.path.join(lab.suite.queue, "policy"))
        for name, attributes in requests.items():
            text = "".join(f"{key}={value}\n" for key, value in attributes.items()).encode() + b"\n"
            _ask(peer, text, 1000)
            spent = [_ask(peer, text, REQUESTS, lab.daemon.process) for _ in range(ROUNDS)]
            report.add(f"processor time of a decision, {name}", "µs", spent, ("<=", 30))
    lab.configure("policy", limits=None)


def _ask(peer, text, count, server=None):
    """Microseconds of the server's processor time for each."""
    before = processor_time(server) if server else 0
    for _ in range(count):
        peer.sendall(text)
        reply = peer.recv(4096)
        if reply != b"action=DUNNO\n\n":
            raise ServerError(f"the policy server answered {reply!r}")
    return (processor_time(server) - before) / count * 1e6 if server else 0


def _postconf(lab, *arguments):
    done = lab.postfix.command("postconf", *arguments)
    if done.returncode != 0:
        raise ServerError(f"postconf {' '.join(arguments)}: {done.stderr}")


BENCHMARKS = {"policy-messages": messages, "policy-decision": decision}
