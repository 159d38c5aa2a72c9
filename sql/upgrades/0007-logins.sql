-- upgrade: what a login may be used for, app passwords, and keys for SCRAM-SHA-256
-- old-daemons: keep working; they know nothing of these limits and passwords
--
-- services is blank separated out of imap, pop3, smtp and sieve, networks is blank separated in CIDR form; not_before and
-- not_after are in seconds since 1970. What is empty or 0 does not limit. scram_sha256 is "iterations,salt,StoredKey,
-- ServerKey", the last three in base64; scram_for is the SHA-256, in hex, of the password column that it belongs to: keys
-- die with their password, whoever changes that. Empty: they belong to any.
--
-- Columns of these names that mean something else are in the way: nobody is to be locked out, or let in, by them.

-- step: column virtual_domains.app_passwords_only
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_domains' AND column_name = 'app_passwords_only'
--   AND data_type = 'tinyint'
-- blocked-by: SELECT
--   CONCAT('virtual_domains.app_passwords_only is there already, as ', column_type, ', and means something else'),
--   'ALTER TABLE virtual_domains RENAME COLUMN app_passwords_only TO old_app_passwords_only;'
--   FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_domains' AND column_name = 'app_passwords_only'
-- needed: logins are checked by it
ALTER TABLE virtual_domains ADD COLUMN app_passwords_only tinyint NOT NULL DEFAULT 0;

-- step: column virtual_users.services
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'services'
--   AND data_type = 'varchar' AND character_maximum_length >= 255 AND character_set_name = 'ascii'
-- blocked-by: SELECT
--   CONCAT('virtual_users.services is there already, as ', column_type, ', and means something else'),
--   'ALTER TABLE virtual_users RENAME COLUMN services TO old_services;'
--   FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'services'
-- needed: logins are checked by it
ALTER TABLE virtual_users ADD COLUMN services varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';

-- step: column virtual_users.networks
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'networks'
--   AND data_type = 'varchar' AND character_maximum_length >= 2000 AND character_set_name = 'ascii'
-- blocked-by: SELECT
--   CONCAT('virtual_users.networks is there already, as ', column_type, ', and means something else'),
--   'ALTER TABLE virtual_users RENAME COLUMN networks TO old_networks;'
--   FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'networks'
-- needed: logins are checked by it
ALTER TABLE virtual_users ADD COLUMN networks varchar(2000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';

-- step: column virtual_users.not_before
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'not_before'
--   AND data_type = 'bigint'
-- blocked-by: SELECT
--   CONCAT('virtual_users.not_before is there already, as ', column_type, ', and means something else'),
--   'ALTER TABLE virtual_users RENAME COLUMN not_before TO old_not_before;'
--   FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'not_before'
-- needed: logins are checked by it
ALTER TABLE virtual_users ADD COLUMN not_before bigint NOT NULL DEFAULT 0;

-- step: column virtual_users.not_after
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'not_after'
--   AND data_type = 'bigint'
-- blocked-by: SELECT
--   CONCAT('virtual_users.not_after is there already, as ', column_type, ', and means something else'),
--   'ALTER TABLE virtual_users RENAME COLUMN not_after TO old_not_after;'
--   FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'not_after'
-- needed: logins are checked by it
ALTER TABLE virtual_users ADD COLUMN not_after bigint NOT NULL DEFAULT 0;

-- step: column virtual_users.app_passwords_only
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'app_passwords_only'
--   AND data_type = 'tinyint'
-- blocked-by: SELECT
--   CONCAT('virtual_users.app_passwords_only is there already, as ', column_type, ', and means something else'),
--   'ALTER TABLE virtual_users RENAME COLUMN app_passwords_only TO old_app_passwords_only;'
--   FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'app_passwords_only'
-- needed: logins are checked by it
ALTER TABLE virtual_users ADD COLUMN app_passwords_only tinyint NOT NULL DEFAULT 0;

-- step: column virtual_users.scram_sha256
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'scram_sha256'
--   AND data_type = 'varchar' AND character_maximum_length >= 255 AND character_set_name = 'ascii'
-- blocked-by: SELECT
--   CONCAT('virtual_users.scram_sha256 is there already, as ', column_type, ', and means something else'),
--   'ALTER TABLE virtual_users RENAME COLUMN scram_sha256 TO old_scram_sha256;'
--   FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'scram_sha256'
-- needed: logins are checked by it
ALTER TABLE virtual_users ADD COLUMN scram_sha256 varchar(255) CHARACTER SET ascii COLLATE ascii_bin;

-- step: column virtual_users.scram_for
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'scram_for'
--   AND data_type = 'varchar' AND character_maximum_length >= 64 AND character_set_name = 'ascii'
-- blocked-by: SELECT
--   CONCAT('virtual_users.scram_for is there already, as ', column_type, ', and means something else'),
--   'ALTER TABLE virtual_users RENAME COLUMN scram_for TO old_scram_for;'
--   FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'scram_for'
-- needed: logins are checked by it
ALTER TABLE virtual_users ADD COLUMN scram_for varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';

-- step: table virtual_app_passwords
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_app_passwords' AND column_name = 'selector'
-- blocked-by: SELECT
--   'there is a table virtual_app_passwords of another make',
--   'RENAME TABLE virtual_app_passwords TO old_virtual_app_passwords;'
--   FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'virtual_app_passwords'
-- needed: logins are checked by it
CREATE TABLE virtual_app_passwords (
  id int NOT NULL AUTO_INCREMENT,
  email varchar(255) NOT NULL,
  selector char(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  label varchar(255) NOT NULL DEFAULT '',
  hash varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  services varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  networks varchar(2000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  not_after bigint NOT NULL DEFAULT 0,
  last_used bigint NOT NULL DEFAULT 0,
  last_ip varchar(45) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (id),
  UNIQUE KEY selector (selector),
  KEY email (email)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
