-- What the database user of vmail-authd may do, column by column; it may do nothing else. It alone can read password hashes.
-- `vmailctl schema grants` runs this with the names of the configuration; each line has one of these shapes.
GRANT SELECT (id, name, enable) ON mailserver.virtual_domains TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, domain_id, email, enable, password) ON mailserver.virtual_users TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, domain_id, source, destination, enable) ON mailserver.virtual_aliases TO 'vmailkit-auth'@'localhost';
GRANT SELECT (name, target, enable) ON mailserver.virtual_alias_domains TO 'vmailkit-auth'@'localhost';
GRANT SELECT (name, enable) ON mailserver.virtual_relay_domains TO 'vmailkit-auth'@'localhost';
GRANT SELECT (version) ON mailserver.vmailkit_schema TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, kind, name, noted_at) ON mailserver.vmailkit_changes TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, identity, enable) ON mailserver.vmailkit_feed TO 'vmailkit-auth'@'localhost';
GRANT EXECUTE ON FUNCTION mailserver.vmailkit_triggers TO 'vmailkit-auth'@'localhost';
GRANT EXECUTE ON PROCEDURE mailserver.vmailkit_prune TO 'vmailkit-auth'@'localhost';
