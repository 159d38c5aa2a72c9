-- What the database user of vmail-authd may do, column by column; it may do nothing else but what auth-rehash.sql and
-- auth-scram.sql add when those features are on. It alone can read password hashes.
-- `vmailctl schema grants` runs this with the names of the configuration; each line has one of these shapes.
GRANT SELECT (id, name, enable, app_passwords_only) ON mailserver.virtual_domains TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, domain_id, email, enable, password, services, networks, not_before, not_after, app_passwords_only, scram_sha256, scram_for) ON mailserver.virtual_users TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, email, selector, label, hash, services, networks, not_after, last_used, enable) ON mailserver.virtual_app_passwords TO 'vmailkit-auth'@'localhost';
GRANT UPDATE (last_used, last_ip) ON mailserver.virtual_app_passwords TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, domain_id, source, destination, enable) ON mailserver.virtual_aliases TO 'vmailkit-auth'@'localhost';
GRANT SELECT (name, target, enable) ON mailserver.virtual_alias_domains TO 'vmailkit-auth'@'localhost';
GRANT SELECT (name, enable) ON mailserver.virtual_relay_domains TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, kind, name, value, enable) ON mailserver.virtual_rules TO 'vmailkit-auth'@'localhost';
GRANT SELECT (version) ON mailserver.vmailkit_schema TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, kind, name, noted_at) ON mailserver.vmailkit_changes TO 'vmailkit-auth'@'localhost';
GRANT SELECT (id, identity, enable) ON mailserver.vmailkit_feed TO 'vmailkit-auth'@'localhost';
GRANT EXECUTE ON FUNCTION mailserver.vmailkit_triggers TO 'vmailkit-auth'@'localhost';
GRANT EXECUTE ON PROCEDURE mailserver.vmailkit_prune TO 'vmailkit-auth'@'localhost';
