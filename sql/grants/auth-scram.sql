-- What the database user of vmail-authd may do besides while passwords.capture_scram is on: keep the keys made at a login.
GRANT UPDATE (scram_sha256, scram_for) ON mailserver.virtual_users TO 'vmailkit-auth'@'localhost';
