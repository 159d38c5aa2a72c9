"""A site that keeps its own passdb: Dovecot checks the passwords, and asks vmail-authd's throttle over HTTP."""

import json
import os
import unittest
import urllib.error
import urllib.request

from private_server import Site, free_port
from private_server.dovecot import Dovecot
from private_server.suite import AUTH_UID, MAIL_UID
from site_tests import BUILD

TOKEN = "a token of many letters"
USER, PASSWORD = "lisi@mydomain.test", "right"

# A file in the place of that site's database: what counts here is who is let through to it.
_WIRING = """\
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {users}
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={home}
}}
auth_policy_server_url = http://127.0.0.1:{port}/
auth_policy_server_api_header = "X-API-Key: {token}"
auth_policy_hash_nonce = a nonce of this site
"""

site = dovecot = None
port = 0


def setUpModule():
    global site, dovecot, port
    port = free_port()
    token = os.path.join("/tmp", f"vmailkit-policy-token-{os.getpid()}")
    with open(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(TOKEN + "\n")
    unittest.addModuleCleanup(os.remove, token)
    os.chown(token, AUTH_UID, AUTH_UID)
    settings = {
        "auth": {"policy_http": [f"inet:127.0.0.1:{port}"], "policy_token_file": token},
        "throttle": {"passwords": 5},
    }
    site = unittest.enterModuleContext(Site(BUILD, settings=settings))
    users = os.path.join(site.folder.make("policy"), "users")
    with open(users, "w", encoding="utf-8") as file:
        file.write(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    home = site.folder.make("policy/home")
    wiring = _WIRING.format(users=users, uid=MAIL_UID, home=home, port=port, token=TOKEN)
    dovecot = unittest.enterModuleContext(Dovecot(site.folder, MAIL_UID, wiring, name="policy-dovecot"))


def log_in(password, ip):
    return dovecot.doveadm("auth", "test", "-x", "service=imap", "-x", f"rip={ip}", USER, password).returncode == 0


def post(path, body, token=TOKEN):
    """The status and the parsed body of the answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body.encode(), {"X-API-Key": token})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class AuthPolicy(unittest.TestCase):
    def setUp(self):
        site.suite.control("throttle", "clear", "--all")

    def test_guesses_are_counted_and_stopped(self):
        self.assertTrue(log_in(PASSWORD, "192.0.2.1"))
        for guess in range(5):
            self.assertFalse(log_in(f"guess {guess}", "198.51.100.7"))
        # The right one comes too late from there, and not from where the account is known.
        self.assertFalse(log_in(PASSWORD, "198.51.100.7"))
        self.assertTrue(log_in(PASSWORD, "192.0.2.1"))
        self.assertIn(USER, site.suite.control("throttle", "show"))
        site.suite.control("throttle", "clear", "--all")
        self.assertTrue(log_in(PASSWORD, "198.51.100.7"))

    def test_the_same_wrong_password_counts_once(self):
        for _ in range(8):
            self.assertFalse(log_in("an old one", "198.51.100.8"))
        self.assertTrue(log_in(PASSWORD, "198.51.100.8"))

    def test_a_locked_login_is_refused(self):
        # There is no such user in the database, and none is needed for the list of this host.
        site.suite.vmailctl("user", "lock", USER)
        self.assertFalse(log_in(PASSWORD, "192.0.2.1"))
        site.suite.vmailctl("user", "unlock", USER)
        self.assertTrue(log_in(PASSWORD, "192.0.2.1"))

    def test_without_the_token_nothing_is_told(self):
        question = json.dumps({"login": USER, "remote": "192.0.2.1", "pwhash": "1a2"})
        self.assertEqual(post("/?command=allow", question), (200, {"status": 0, "msg": ""}))
        status, text = post("/?command=allow", question, "another")
        self.assertEqual(status, 401)
        self.assertIn("X-API-Key", text)
        self.assertEqual(post("/?command=shutdown", question)[0], 404)
        self.assertEqual(post("/?command=allow", "{")[0], 400)
        log = site.suite.auth.process.read_log()
        self.assertIn("auth policy: refused", log)
        self.assertNotIn(TOKEN, log)


if __name__ == "__main__":
    unittest.main()
