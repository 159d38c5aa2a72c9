-- upgrade: rules, by which addresses and domains get a transport, senders, copies, relays, other names and limits
-- old-daemons: keep working; they read everything again when a rule changes
--
-- A rule is a kind, a name (an address or a domain) and a value: `vmailctl` knows the kinds and checks what is entered.

-- step: table virtual_rules
-- unless: SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'virtual_rules'
CREATE TABLE virtual_rules (
  id int NOT NULL AUTO_INCREMENT,
  kind varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name varchar(255) NOT NULL,
  value varchar(500) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (id),
  UNIQUE KEY rule (kind, name, value)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
