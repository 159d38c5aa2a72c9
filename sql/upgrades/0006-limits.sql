-- upgrade: tables for the limits of the policy server: what has been sent, and which messages are held
-- old-daemons: keep working

-- step: table vmailkit_usage
-- unless: SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'vmailkit_usage'
CREATE TABLE vmailkit_usage (
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

-- step: table vmailkit_held
-- unless: SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'vmailkit_held'
CREATE TABLE vmailkit_held (
  host varchar(64) NOT NULL,
  queue_id varchar(64) NOT NULL,
  login varchar(255) NOT NULL,
  held_at bigint NOT NULL,
  PRIMARY KEY (host, queue_id),
  KEY login (login),
  KEY held_at (held_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;
