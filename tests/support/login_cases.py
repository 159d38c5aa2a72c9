"""The cases of a login that every way in has to answer alike, and what the mail program's person reads of each."""

import json

from scram_client import stored_keys

DOMAIN = "example.test"
PASSWORD = "correct horse battery"

# By user: the columns that bar it from imap at 127.0.0.1.
BARRED = {
    "pop": "services='pop3'",
    "office": "networks='198.51.100.0/24'",
    "gone": "not_after=1000000000",
}
USERS = ("anna", "dora", *BARRED)

# What a person reads whom Dovecot answers, over IMAP: not which rule it was, nor whether there is such a user.
IMAP_TEXTS = {
    "ok": "Logged in",
    "no": "[AUTHENTICATIONFAILED] Authentication failed.",
    "temp": "[UNAVAILABLE] Temporary authentication failure.",
}


def imap_answer(text):
    """ok, no or temp; the text when it is neither's."""
    return next((answer for answer, words in IMAP_TEXTS.items() if words in text), text)


def set_columns(site, address, columns):
    site.database.query(f"UPDATE virtual_users SET {columns} WHERE email='{address}'", "mailserver")


def make_users(site):
    """Makes the users; returns the cases: by name the user, the password, and what becomes of it (ok, no or temp)."""
    site.suite.control("domain", "add", DOMAIN)
    for user in USERS:
        site.add_user(f"{user}@{DOMAIN}", PASSWORD)
        set_columns(site, f"{user}@{DOMAIN}", f"scram_sha256='{stored_keys(PASSWORD)}', scram_for=SHA2(password, 256)")
    for user, columns in BARRED.items():
        set_columns(site, f"{user}@{DOMAIN}", columns)
    site.suite.control("user", "disable", f"dora@{DOMAIN}")
    app_passwords = {}
    for label in ("phone", "old phone"):
        made = site.suite.control("--json", "app-password", "add", f"anna@{DOMAIN}", "--label", label)
        app_passwords[label] = json.loads(made)["password"]
    expired = "UPDATE virtual_app_passwords SET not_after = 1000000000 WHERE label = 'old phone'"
    site.database.query(expired, "mailserver")
    site.suite.control("cache", "flush", "--all")
    return {
        "right": ("anna", PASSWORD, "ok"),
        "wrong": ("anna", "a wrong one", "no"),
        "unknown": ("nobody", PASSWORD, "no"),
        "disabled": ("dora", PASSWORD, "no"),
        "wrong service": ("pop", PASSWORD, "no"),
        "wrong network": ("office", PASSWORD, "no"),
        "too late": ("gone", PASSWORD, "no"),
        "app password": ("anna", app_passwords["phone"], "ok"),
        "expired app password": ("anna", app_passwords["old phone"], "no"),
    }
