-- upgrade: room for every address that mail can have, and for every password hash
-- old-daemons: keep working; writers wait while a table is rewritten
--
-- An address has up to 254 characters (RFC 5321 section 4.5.3.1.3), a domain 253. A password column of 106 holds a bare
-- SHA512-CRYPT hash and nothing longer: without strict mode a longer one is cut, and its user never logs in again.
-- Hashes are ASCII and differ in case; an ascii_bin column says so, and is a third of the size in memory.

-- step: virtual_domains.name of 255 characters
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_domains' AND column_name = 'name' AND character_maximum_length >= 255
ALTER TABLE virtual_domains MODIFY name varchar(255) NOT NULL;

-- step: virtual_users.email of 255 characters
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'email' AND character_maximum_length >= 255
ALTER TABLE virtual_users MODIFY email varchar(255) NOT NULL;

-- step: virtual_aliases.source of 255 characters
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_aliases' AND column_name = 'source' AND character_maximum_length >= 255
ALTER TABLE virtual_aliases MODIFY source varchar(255) NOT NULL;

-- step: virtual_aliases.destination of 255 characters
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_aliases' AND column_name = 'destination' AND character_maximum_length >= 255
ALTER TABLE virtual_aliases MODIFY destination varchar(255) NOT NULL;

-- step: virtual_users.password of 255 ASCII characters
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'password' AND character_maximum_length >= 255
--   AND character_set_name = 'ascii' AND collation_name = 'ascii_bin'
-- blocked-by: SELECT
--   CONCAT('the password of ', QUOTE(email), ' (id ', id, ') is not ASCII, so it is no hash that a login could match'),
--   CONCAT('UPDATE virtual_users SET password = CONCAT(''$6$................$'', REPEAT(''.'', 86)) WHERE id = ', id,
--   '; -- a hash that no password matches; then: vmailctl user passwd ', QUOTE(email))
--   FROM virtual_users WHERE HEX(password) REGEXP '^(..)*[89A-F]' ORDER BY id
ALTER TABLE virtual_users MODIFY password varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL;
-- while-blocked: virtual_users.password of 255 characters
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_users' AND column_name = 'password' AND character_maximum_length >= 255
ALTER TABLE virtual_users MODIFY password varchar(255) NOT NULL;
