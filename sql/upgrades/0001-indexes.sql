-- upgrade: indexes for what every look-up asks, and a table that says which upgrades were made
-- old-daemons: keep working
--
-- The original has no index on the names of domains nor on the sources of aliases: every look-up reads the whole table.
-- With unique ones, a domain or an alias cannot be entered twice by mistake either. That of the aliases begins with the
-- destination, which tells who leads to an address; with the source first it would cover the tutorial's query, and change
-- the order of its answers.

-- step: table vmailkit_schema
-- unless: SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'vmailkit_schema'
CREATE TABLE vmailkit_schema (
  version int NOT NULL,
  name varchar(100) NOT NULL,
  PRIMARY KEY (version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin;

-- step: unique index on virtual_domains.name
-- unless: SELECT index_name FROM information_schema.statistics
--   WHERE table_schema = DATABASE() AND table_name = 'virtual_domains' AND non_unique = 0
--   GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(column_name) = 'name' AND MAX(sub_part) IS NULL
-- blocked-by: SELECT
--   CONCAT('domain ', QUOTE(d.name), ' is entered twice: as id ', k.id, ' and as id ', d.id),
--   CONCAT('START TRANSACTION; UPDATE virtual_users SET domain_id = ', k.id, ' WHERE domain_id = ', d.id,
--   '; UPDATE virtual_aliases SET domain_id = ', k.id, ' WHERE domain_id = ', d.id,
--   '; DELETE FROM virtual_domains WHERE id = ', d.id, '; COMMIT;')
--   FROM virtual_domains d JOIN (SELECT name, MIN(id) AS id FROM virtual_domains GROUP BY name HAVING COUNT(*) > 1) k
--   ON k.name = d.name AND k.id <> d.id ORDER BY d.name, d.id
ALTER TABLE virtual_domains ADD UNIQUE INDEX name (name);
-- while-blocked: plain index on virtual_domains.name
-- unless: SELECT 1 FROM information_schema.statistics
--   WHERE table_schema = DATABASE() AND table_name = 'virtual_domains' AND column_name = 'name' AND seq_in_index = 1
ALTER TABLE virtual_domains ADD INDEX name_lookup (name);

-- step: the plain index on virtual_domains.name goes once the unique one is there
-- unless: SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM information_schema.statistics
--   WHERE table_schema = DATABASE() AND table_name = 'virtual_domains' AND index_name = 'name_lookup')
--   OR NOT EXISTS (SELECT 1 FROM information_schema.statistics
--   WHERE table_schema = DATABASE() AND table_name = 'virtual_domains' AND index_name = 'name' AND non_unique = 0)
ALTER TABLE virtual_domains DROP INDEX name_lookup;

-- step: index on virtual_aliases.source
-- unless: SELECT 1 FROM information_schema.statistics
--   WHERE table_schema = DATABASE() AND table_name = 'virtual_aliases' AND column_name = 'source' AND seq_in_index = 1
ALTER TABLE virtual_aliases ADD INDEX source (source);

-- step: unique index on virtual_aliases.destination and source
-- unless: SELECT index_name FROM information_schema.statistics
--   WHERE table_schema = DATABASE() AND table_name = 'virtual_aliases' AND non_unique = 0
--   GROUP BY index_name HAVING COUNT(*) = 2 AND MAX(sub_part) IS NULL
--   AND MIN(column_name) = 'destination' AND MAX(column_name) = 'source'
-- blocked-by: SELECT
--   CONCAT('alias ', QUOTE(source), ' to ', QUOTE(destination), ' is entered ', COUNT(*), ' times'),
--   CONCAT('DELETE FROM virtual_aliases WHERE source = ', QUOTE(source), ' AND destination = ', QUOTE(destination),
--   ' AND id <> ', MIN(id), ';')
--   FROM virtual_aliases GROUP BY source, destination HAVING COUNT(*) > 1 ORDER BY source, destination
ALTER TABLE virtual_aliases ADD UNIQUE INDEX destination (destination, source);
