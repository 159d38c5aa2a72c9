-- What the account may do that the triggers and routines of the change feed belong to. It is locked: nobody can log in.
-- `vmailctl schema feed on` runs this with the name of the configured database.
GRANT TRIGGER ON mailserver.virtual_domains TO 'vmailkit-feed'@'localhost';
GRANT TRIGGER ON mailserver.virtual_users TO 'vmailkit-feed'@'localhost';
GRANT TRIGGER ON mailserver.virtual_app_passwords TO 'vmailkit-feed'@'localhost';
GRANT TRIGGER ON mailserver.virtual_aliases TO 'vmailkit-feed'@'localhost';
GRANT TRIGGER ON mailserver.virtual_alias_domains TO 'vmailkit-feed'@'localhost';
GRANT TRIGGER ON mailserver.virtual_relay_domains TO 'vmailkit-feed'@'localhost';
GRANT TRIGGER ON mailserver.virtual_rules TO 'vmailkit-feed'@'localhost';
GRANT SELECT (id, name, enable, app_passwords_only) ON mailserver.virtual_domains TO 'vmailkit-feed'@'localhost';
GRANT SELECT (domain_id, email, enable, password, services, networks, not_before, not_after, app_passwords_only, scram_sha256, scram_for) ON mailserver.virtual_users TO 'vmailkit-feed'@'localhost';
GRANT SELECT (email, enable, selector, label, hash, services, networks, not_after) ON mailserver.virtual_app_passwords TO 'vmailkit-feed'@'localhost';
GRANT SELECT (domain_id, source, destination, enable) ON mailserver.virtual_aliases TO 'vmailkit-feed'@'localhost';
GRANT SELECT (name, target, enable) ON mailserver.virtual_alias_domains TO 'vmailkit-feed'@'localhost';
GRANT SELECT (name, enable) ON mailserver.virtual_relay_domains TO 'vmailkit-feed'@'localhost';
GRANT SELECT (kind, name, value, enable) ON mailserver.virtual_rules TO 'vmailkit-feed'@'localhost';
GRANT INSERT (kind, name) ON mailserver.vmailkit_changes TO 'vmailkit-feed'@'localhost';
GRANT SELECT (id, noted_at) ON mailserver.vmailkit_changes TO 'vmailkit-feed'@'localhost';
GRANT DELETE ON mailserver.vmailkit_changes TO 'vmailkit-feed'@'localhost';
GRANT EXECUTE ON PROCEDURE mailserver.vmailkit_note TO 'vmailkit-feed'@'localhost';
GRANT EXECUTE ON FUNCTION mailserver.vmailkit_triggers TO 'vmailkit-feed'@'localhost';
GRANT EXECUTE ON PROCEDURE mailserver.vmailkit_prune TO 'vmailkit-feed'@'localhost';
