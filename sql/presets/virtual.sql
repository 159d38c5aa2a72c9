-- The preset "virtual": the tables of the tutorial as they are, and as `vmailctl schema upgrade` leaves them.
--
-- Each text has a name, and the schema version from which on it is the one to ask (the greatest that fits is taken).
-- :keys stands for one placeholder a key, wherever it is. What a text returns is what shared/directory/sql_database.cc
-- reads, in that order. The conversions make columns of any character set fit into one UNION; they do not touch what an
-- index is asked for.

-- name: schema-version
SELECT MAX(version) FROM vmailkit_schema;

-- name: domains
-- kind, name, target
SELECT 'own', CONVERT(name USING utf8mb4), NULL FROM virtual_domains;

-- name: domains
-- since: 3
SELECT 'own', CONVERT(name USING utf8mb4), NULL FROM virtual_domains WHERE enable = 1
UNION ALL
SELECT 'alias', CONVERT(name USING utf8mb4), CONVERT(target USING utf8mb4) FROM virtual_alias_domains WHERE enable = 1
UNION ALL
SELECT 'relay', CONVERT(name USING utf8mb4), NULL FROM virtual_relay_domains WHERE enable = 1;

-- name: addresses
-- kind, id, address, enable, destination
SELECT 'user', id, CONVERT(email USING utf8mb4), enable, NULL FROM virtual_users WHERE email IN (:keys)
UNION ALL
SELECT 'alias', id, CONVERT(source USING utf8mb4), 1, CONVERT(destination USING utf8mb4) FROM virtual_aliases
WHERE source IN (:keys);

-- name: addresses
-- since: 3
SELECT 'user', id, CONVERT(email USING utf8mb4), enable, NULL FROM virtual_users WHERE email IN (:keys)
UNION ALL
SELECT 'alias', id, CONVERT(source USING utf8mb4), enable, CONVERT(destination USING utf8mb4) FROM virtual_aliases
WHERE source IN (:keys);

-- name: credentials
-- address, enable, password
SELECT email, enable, password FROM virtual_users WHERE email IN (:keys);
