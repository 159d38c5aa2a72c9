-- upgrade: domains and aliases that can be switched off, alias domains, relay domains
-- old-daemons: keep working; they know nothing of what is switched off here
--
-- An alias domain has every address of its target; a relay domain is one that we take mail for and pass on.
-- In the added tables names are folded to lower case; a binary collation never makes two names of one.

-- step: column virtual_domains.enable
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_domains' AND column_name = 'enable'
ALTER TABLE virtual_domains ADD COLUMN enable tinyint NOT NULL DEFAULT 1;

-- step: column virtual_aliases.enable
-- unless: SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()
--   AND table_name = 'virtual_aliases' AND column_name = 'enable'
ALTER TABLE virtual_aliases ADD COLUMN enable tinyint NOT NULL DEFAULT 1;

-- step: table virtual_alias_domains
-- unless: SELECT 1 FROM information_schema.tables
--   WHERE table_schema = DATABASE() AND table_name = 'virtual_alias_domains'
CREATE TABLE virtual_alias_domains (
  name varchar(255) NOT NULL,
  target varchar(255) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (name),
  KEY target (target)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;

-- step: table virtual_relay_domains
-- unless: SELECT 1 FROM information_schema.tables
--   WHERE table_schema = DATABASE() AND table_name = 'virtual_relay_domains'
CREATE TABLE virtual_relay_domains (
  name varchar(255) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;
