"""Logins that are right and may not be, and what doveadm says of a login: for the tests of the ways in."""

# By user: the columns that bar it from imap at 192.0.2.1.
BARRED = {
    "pop": "services='pop3'",
    "office": "networks='198.51.100.0/24'",
    "gone": "not_after=1000000000",
}


def set_columns(site, address, columns):
    site.database.query(f"UPDATE virtual_users SET {columns} WHERE email='{address}'", "mailserver")


def doveadm_answer(status, text):
    """ok, no or temp, by the exit status and the output of doveadm auth test; the output when it says something else."""
    if status == 0:
        return "ok"
    return "temp" if "temp_fail" in text else "no" if "auth failed" in text else text
