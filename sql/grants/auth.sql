-- What the database user of vmail-authd may do, column by column; it may do nothing else. It alone can read password hashes.
-- `vmailctl schema grants` runs this with the names of the configuration; each line is a statement of this one shape.
GRANT SELECT (id, name, enable) ON mailserver.virtual_domains TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, domain_id, email, enable, password) ON mailserver.virtual_users TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, domain_id, source, destination, enable) ON mailserver.virtual_aliases TO 'vmailkit-auth'@'localhost';
GRANT SELECT (name, target, enable) ON mailserver.virtual_alias_domains TO 'vmailkit-auth'@'localhost';
GRANT SELECT (name, enable) ON mailserver.virtual_relay_domains TO 'vmailkit-auth'@'localhost';
GRANT SELECT (version) ON mailserver.vmailkit_schema TO 'vmailkit-auth'@'localhost';
