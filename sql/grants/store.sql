-- What the database user of vmail-lmtpd may do, column by column; it may do nothing else. It cannot read a password hash.
-- `vmailctl schema grants` runs this with the names of the configuration; each line has one of these shapes.
GRANT SELECT (id, name, enable) ON mailserver.virtual_domains TO 'vmailkit-store'@'localhost';
GRANT SELECT (id, domain_id, email, enable) ON mailserver.virtual_users TO 'vmailkit-store'@'localhost';
GRANT SELECT (id, domain_id, source, destination, enable) ON mailserver.virtual_aliases TO 'vmailkit-store'@'localhost';
GRANT SELECT (name, target, enable) ON mailserver.virtual_alias_domains TO 'vmailkit-store'@'localhost';
GRANT SELECT (name, enable) ON mailserver.virtual_relay_domains TO 'vmailkit-store'@'localhost';
GRANT SELECT (id, kind, name, value, enable) ON mailserver.virtual_rules TO 'vmailkit-store'@'localhost';
GRANT SELECT (version) ON mailserver.vmailkit_schema TO 'vmailkit-store'@'localhost';
GRANT SELECT (id, kind, name, noted_at) ON mailserver.vmailkit_changes TO 'vmailkit-store'@'localhost';
GRANT SELECT (id, identity, enable) ON mailserver.vmailkit_feed TO 'vmailkit-store'@'localhost';
GRANT EXECUTE ON FUNCTION mailserver.vmailkit_triggers TO 'vmailkit-store'@'localhost';
GRANT EXECUTE ON PROCEDURE mailserver.vmailkit_prune TO 'vmailkit-store'@'localhost';
