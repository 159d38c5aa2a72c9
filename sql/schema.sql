-- The whole schema, for a new database: equal to upgrades/0000-original.sql and all upgrades after it (a test compares
-- them). `vmailctl schema init` runs it, `vmailctl schema print` shows it.
--
-- The version table comes first and its rows last: when it is there and empty, an init was interrupted and may go on.
CREATE TABLE IF NOT EXISTS vmailkit_schema (
  version int NOT NULL,
  name varchar(100) NOT NULL,
  PRIMARY KEY (version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;

-- Domains of ours. enable: exactly 1 is on, here and below. app_passwords_only: the passwords of its users open no mail
-- service, their app passwords do.
CREATE TABLE IF NOT EXISTS virtual_domains (
  id int(11) NOT NULL auto_increment,
  name varchar(255) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  app_passwords_only tinyint NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

-- Mailboxes. password: a hash as crypt(3) writes it, or {SCHEME} and a hash. What a login may be used for: services is
-- blank separated out of imap, pop3, smtp and sieve, networks blank separated in CIDR form, not_before and not_after in
-- seconds since 1970; what is empty or 0 does not limit. scram_sha256: "iterations,salt,StoredKey,ServerKey", the last
-- three in base64, of the password whose column has the SHA-256 scram_for, in hex; empty: of any.
CREATE TABLE IF NOT EXISTS virtual_users (
  id int(11) NOT NULL auto_increment,
  domain_id int(11) NOT NULL,
  password varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  email varchar(255) NOT NULL,
  enable int(1) NOT NULL DEFAULT '1',
  services varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  networks varchar(2000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  not_before bigint NOT NULL DEFAULT 0,
  not_after bigint NOT NULL DEFAULT 0,
  app_passwords_only tinyint NOT NULL DEFAULT 0,
  scram_sha256 varchar(255) CHARACTER SET ascii COLLATE ascii_bin,
  scram_for varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY email (email),
  FOREIGN KEY (domain_id) REFERENCES virtual_domains(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

-- Aliases: one row for each destination of a source. The source "@domain" is a catch-all.
CREATE TABLE IF NOT EXISTS virtual_aliases (
  id int(11) NOT NULL auto_increment,
  domain_id int(11) NOT NULL,
  source varchar(255) NOT NULL,
  destination varchar(255) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (id),
  UNIQUE KEY destination (destination, source),
  KEY domain_id (domain_id),
  KEY source (source),
  FOREIGN KEY (domain_id) REFERENCES virtual_domains(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

-- Domains whose every address is the same address in the target, which is a name in virtual_domains.
CREATE TABLE IF NOT EXISTS virtual_alias_domains (
  name varchar(255) NOT NULL,
  target varchar(255) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (name),
  KEY target (target)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;

-- Domains that we take mail for and pass on to another server.
CREATE TABLE IF NOT EXISTS virtual_relay_domains (
  name varchar(255) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;

-- The change feed: what has changed, as the triggers of sql/feed.sql note it. `vmailctl schema feed on` makes those.
CREATE TABLE IF NOT EXISTS vmailkit_changes (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  kind varchar(16) NOT NULL,
  name varchar(255) NOT NULL DEFAULT '',
  noted_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- At most one row: which feed it is, drawn at random whenever the triggers are made, and whether it is wanted.
CREATE TABLE IF NOT EXISTS vmailkit_feed (
  id tinyint NOT NULL,
  identity varchar(64) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;

-- Rules about an address or a domain: its transport, who may send as it, copies, relays, other names, limits, quotas and
-- the states of mailboxes. A name has as many values as there are rows. The kinds are those that `vmailctl` has commands
-- for.
CREATE TABLE IF NOT EXISTS virtual_rules (
  id int NOT NULL AUTO_INCREMENT,
  kind varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name varchar(255) NOT NULL,
  value varchar(500) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (id),
  UNIQUE KEY rule (kind, name, value)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What has been sent, for the limits of the policy server: subject is a login, "@domain" or a network; measure is counted
-- over period seconds, in slots of it. Each writer writes its own totals; ends: when a slot counts no more (in seconds
-- since 1970, as all times here).
CREATE TABLE IF NOT EXISTS vmailkit_usage (
  subject varchar(255) NOT NULL,
  measure varchar(32) NOT NULL,
  period int unsigned NOT NULL,
  slot bigint NOT NULL,
  writer varchar(100) NOT NULL,
  amount bigint NOT NULL,
  ends bigint NOT NULL,
  PRIMARY KEY (subject, measure, period, slot, writer),
  KEY ends (ends)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;

-- Messages that wait in the hold queue of a host because their sender reached a limit.
CREATE TABLE IF NOT EXISTS vmailkit_held (
  host varchar(64) NOT NULL,
  queue_id varchar(64) NOT NULL,
  login varchar(255) NOT NULL,
  held_at bigint NOT NULL,
  PRIMARY KEY (host, queue_id),
  KEY login (login),
  KEY held_at (held_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;

-- App passwords of a user: selector is the beginning of each, by which it is found. Those of an address without a user
-- count for nothing. last_used: in seconds since 1970.
CREATE TABLE IF NOT EXISTS virtual_app_passwords (
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

INSERT IGNORE INTO vmailkit_schema (version, name) VALUES
  (1, 'indexes'),
  (2, 'wide-columns'),
  (3, 'domain-kinds'),
  (4, 'change-feed'),
  (5, 'rules'),
  (6, 'limits'),
  (7, 'logins');
