-- What the database user of vmail-authd may do besides while passwords.rehash is on: replace a hash by one of the same password.
GRANT UPDATE (password, scram_for) ON mailserver.virtual_users TO 'vmailkit-auth'@'localhost';
