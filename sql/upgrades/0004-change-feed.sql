-- upgrade: tables for the change feed, by which daemons learn within two seconds what has changed
-- old-daemons: keep working
--
-- The triggers that write the notes are in sql/feed.sql; `vmailctl schema upgrade` makes them afterwards.

-- step: table vmailkit_changes
-- unless: SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'vmailkit_changes'
CREATE TABLE vmailkit_changes (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  kind varchar(16) NOT NULL,
  name varchar(255) NOT NULL DEFAULT '',
  noted_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- step: table vmailkit_feed
-- unless: SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'vmailkit_feed'
CREATE TABLE vmailkit_feed (
  id tinyint NOT NULL,
  identity varchar(64) NOT NULL,
  enable tinyint NOT NULL DEFAULT 1,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;
