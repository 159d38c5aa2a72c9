-- The preset "virtual": the tables of the tutorial as they are, and as `vmailctl schema upgrade` leaves them.
--
-- Each text has a name, and the schema version from which on it is the one to ask (the greatest that fits is taken).
-- :keys stands for one parameter marker a key, wherever it is; :spans for `id BETWEEN ? AND ?`, as often as needed. What a
-- text returns is what shared/directory/sql_database.cc reads, in that order. The conversions make columns of any
-- character set fit into one UNION; they do not touch what an index is asked for.

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

-- name: rules
-- since: 5
-- kind, name, value; the values of a name in the order in which they were entered
SELECT kind, name, value FROM virtual_rules WHERE enable = 1 ORDER BY id;

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

-- name: credentials
-- since: 7
-- address, enable, password, NULL, services, networks, not before, not after, SCRAM keys (those of this password alone),
-- whether it or its domain wants app passwords only; then the same of the app passwords that are on, with their selector
-- in the fourth place, and id and label at the end
SELECT CONVERT(u.email USING utf8mb4), u.enable, CONVERT(u.password USING utf8mb4), NULL, u.services, u.networks,
u.not_before, u.not_after,
IF(u.scram_for = '' OR u.scram_for = CAST(SHA2(u.password, 256) AS BINARY), u.scram_sha256, NULL),
u.app_passwords_only <> 0 OR COALESCE(d.app_passwords_only, 0) <> 0, NULL, NULL
FROM virtual_users u LEFT JOIN virtual_domains d ON d.id = u.domain_id WHERE u.email IN (:keys)
UNION ALL
SELECT CONVERT(email USING utf8mb4), 1, CONVERT(hash USING utf8mb4), selector, services, networks,
0, not_after, NULL, 0, id, label
FROM virtual_app_passwords WHERE enable = 1 AND email IN (:keys);

-- name: mailboxes
-- id, address, enable: all rows behind an id, in their order; 200 mean that there may be more
SELECT id, CONVERT(email USING utf8mb4), enable FROM virtual_users WHERE id > CAST(? AS UNSIGNED) ORDER BY id LIMIT 200;

-- name: everything
-- kind, id, address, enable, destination: all rows that `addresses` could find
SELECT 'user', id, CONVERT(email USING utf8mb4), enable, NULL FROM virtual_users
UNION ALL
SELECT 'alias', id, CONVERT(source USING utf8mb4), 1, CONVERT(destination USING utf8mb4) FROM virtual_aliases;

-- name: everything
-- since: 3
SELECT 'user', id, CONVERT(email USING utf8mb4), enable, NULL FROM virtual_users
UNION ALL
SELECT 'alias', id, CONVERT(source USING utf8mb4), enable, CONVERT(destination USING utf8mb4) FROM virtual_aliases;

-- name: feed
-- since: 4
-- identity, whether it is wanted, which server this is, the newest note's id and witness
SELECT feed.identity, feed.enable, CONCAT(@@hostname, ':', @@port, ' ', @@server_id), note.id,
CONCAT_WS(' ', UNIX_TIMESTAMP(note.noted_at), note.kind, note.name) FROM vmailkit_feed feed
LEFT JOIN vmailkit_changes note ON note.id = (SELECT MAX(id) FROM vmailkit_changes) WHERE feed.id = 1;

-- name: triggers
-- since: 4
-- since when they are what they are, or NULL when there are not all of them
SELECT vmailkit_triggers();

-- name: changes
-- since: 4
-- id, witness, kind, name; 5000 rows mean that there may be more
SELECT id, CONCAT_WS(' ', UNIX_TIMESTAMP(noted_at), kind, name), kind, name FROM vmailkit_changes
WHERE id >= CAST(? AS UNSIGNED) ORDER BY id LIMIT 5000;

-- name: late-changes
-- since: 4
-- the same
SELECT id, CONCAT_WS(' ', UNIX_TIMESTAMP(noted_at), kind, name), kind, name FROM vmailkit_changes
WHERE :spans ORDER BY id LIMIT 5000;

-- name: prunable
-- since: 4
-- whether the oldest note may go
SELECT id < (SELECT MAX(id) FROM vmailkit_changes) AND noted_at < CURRENT_TIMESTAMP(6) - INTERVAL 7 DAY
FROM vmailkit_changes ORDER BY id LIMIT 1;

-- name: prune
-- since: 4
CALL vmailkit_prune();

-- name: usage-write
-- since: 6
-- subject, measure, period, slot, writer, amount, ends: a total, which never becomes less
INSERT INTO vmailkit_usage (subject, measure, period, slot, writer, amount, ends)
VALUES (?, ?, CAST(? AS UNSIGNED), CAST(? AS SIGNED), ?, CAST(? AS SIGNED), CAST(? AS SIGNED))
ON DUPLICATE KEY UPDATE amount = GREATEST(amount, VALUES(amount));

-- name: usage-read
-- since: 6
-- slot and sum of the other writers, from a slot on
SELECT slot, CAST(SUM(amount) AS SIGNED) FROM vmailkit_usage
WHERE subject = ? AND measure = ? AND period = CAST(? AS UNSIGNED) AND slot >= CAST(? AS SIGNED) AND writer <> ?
GROUP BY slot;

-- name: usage-prune
-- since: 6
DELETE FROM vmailkit_usage WHERE ends < CAST(? AS SIGNED) LIMIT 1000;

-- name: held-write
-- since: 6
-- host, queue_id, login, held_at
INSERT INTO vmailkit_held (host, queue_id, login, held_at) VALUES (?, ?, ?, CAST(? AS SIGNED))
ON DUPLICATE KEY UPDATE login = VALUES(login), held_at = VALUES(held_at);

-- name: held-prune
-- since: 6
DELETE FROM vmailkit_held WHERE held_at < CAST(? AS SIGNED) LIMIT 1000;

-- name: note-use
-- since: 7
-- when, from where, the id of the app password, when
UPDATE virtual_app_passwords SET last_used = CAST(? AS SIGNED), last_ip = ?
WHERE id = CAST(? AS SIGNED) AND last_used < CAST(? AS SIGNED);

-- name: replace-hash
-- since: 7
-- the new hash and the one that is there, both again in this order, address. It is of the same password, so that SCRAM
-- keys which belonged to the old one belong to it
UPDATE virtual_users SET password = ?,
scram_for = IF(scram_for = CAST(SHA2(?, 256) AS BINARY), CONVERT(SHA2(?, 256) USING ascii), scram_for)
WHERE password = ? AND email = ?;

-- name: keep-scram
-- since: 7
-- the keys, the hash that is there, address
UPDATE virtual_users SET scram_sha256 = ?, scram_for = SHA2(password, 256) WHERE password = ? AND email = ?;
