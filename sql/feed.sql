-- The change feed: triggers that note in vmailkit_changes which rows have changed, and the routines about it.
-- `vmailctl schema feed on` makes what is here, with the DEFINER 'vmailkit-feed'@'localhost': a locked account that may
-- do what sql/grants/feed.sql says and nothing else. An administrator's would not do: whoever may put a view in the
-- place of vmailkit_changes would write through it with that one's rights.
--
-- A note's kind:
--   address     name is an address, or "@domain": its rows are to be read again
--   domain      name is a domain: the rows of all its addresses are, and the sets of domains
--   rules       a rule of that name: the rules are to be read again
--   everything  it could not be told what has changed
--   start       the first one, so that the table is never empty; nothing has changed
--
-- The write that fires a trigger never fails through it: whatever goes wrong in its body, the handlers let pass. (A
-- deadlock and a lock that is waited for in vain undo the write as well; those the server shows to no handler.) Names
-- that are too long are cut, in whatever SQL mode the writer is: what counts is the mode when all this was made.
-- Notes are written one by one, since a statement that may write several makes those of others wait till its end; and
-- by a procedure, since several triggers that write to one table themselves get error 1442 under LOCK TABLES (MariaDB
-- 10.11.19, now and then).
-- Rows that a foreign key removes fire no trigger: that of virtual_domains notes them, but for addresses in the domain
-- of that name, which its own note means too.
--
-- What is watched: the table, the kind of its notes, the column they name, and the others whose change is noted. Each
-- has the three triggers whose pattern stands below, but for what is written out after it. {tables} are all of them,
-- {triggers} is how many triggers they have.
DELIMITER //

WATCH virtual_domains domain name enable app_passwords_only//
WATCH virtual_users address email enable password services networks not_before not_after app_passwords_only scram_sha256 scram_for//
WATCH virtual_app_passwords address email enable selector label hash services networks not_after//
WATCH virtual_aliases address source enable destination//
WATCH virtual_alias_domains domain name enable target//
WATCH virtual_relay_domains domain name enable//
WATCH virtual_rules rules name enable kind value//

CREATE PROCEDURE vmailkit_note(note_kind varchar(16), note_name text CHARACTER SET utf8mb4)
MODIFIES SQL DATA SQL SECURITY DEFINER
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
    INSERT INTO vmailkit_changes (kind) VALUES ('everything');
  END;
  INSERT INTO vmailkit_changes (kind, name) VALUES (note_kind, LEFT(note_name, 255));
END//

-- When the triggers were made, or NULL when one of them, or what they need, is missing: for daemons, which cannot see
-- them themselves.
CREATE FUNCTION vmailkit_triggers() RETURNS varchar(64) CHARACTER SET utf8mb4
READS SQL DATA SQL SECURITY DEFINER
BEGIN
  DECLARE made varchar(64) CHARACTER SET utf8mb4;
  SELECT MAX(created) INTO made FROM information_schema.triggers
    WHERE trigger_schema = DATABASE() AND definer = CURRENT_USER()
    AND event_object_table IN ({tables})
    AND trigger_name = CONCAT('vmailkit_', SUBSTRING(event_object_table, 9), '_', LOWER(event_manipulation))
    HAVING COUNT(*) = {triggers};
  IF (SELECT COUNT(*) FROM information_schema.routines
      WHERE routine_schema = DATABASE() AND routine_name = 'vmailkit_note') <> 1
    OR (SELECT COUNT(*) FROM information_schema.column_privileges
      WHERE table_schema = DATABASE() AND table_name = 'vmailkit_changes' AND privilege_type = 'INSERT') <> 2 THEN
    RETURN NULL;
  END IF;
  RETURN made;
END//

-- Removes notes that are older than a week, a thousand at most, and never the newest.
CREATE PROCEDURE vmailkit_prune()
MODIFIES SQL DATA SQL SECURITY DEFINER
BEGIN
  DECLARE newest, last_old bigint unsigned;
  SELECT MAX(id) INTO newest FROM vmailkit_changes;
  SELECT MAX(id) INTO last_old
    FROM (SELECT id, noted_at FROM vmailkit_changes WHERE id < newest ORDER BY id LIMIT 1000) oldest
    WHERE noted_at < CURRENT_TIMESTAMP(6) - INTERVAL 7 DAY;
  DELETE FROM vmailkit_changes WHERE id <= last_old;
END//

CREATE TRIGGER {trigger}_insert AFTER INSERT ON {table} FOR EACH ROW
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
    CALL vmailkit_note('everything', '');
  END;
  CALL vmailkit_note('{kind}', NEW.{name});
END//

CREATE TRIGGER {trigger}_update AFTER UPDATE ON {table} FOR EACH ROW
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
    CALL vmailkit_note('everything', '');
  END;
  IF NOT ({unchanged}) THEN
    CALL vmailkit_note('{kind}', OLD.{name});
    CALL vmailkit_note('{kind}', NEW.{name});
  END IF;
END//

CREATE TRIGGER {trigger}_delete AFTER DELETE ON {table} FOR EACH ROW
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
    CALL vmailkit_note('everything', '');
  END;
  CALL vmailkit_note('{kind}', OLD.{name});
END//

CREATE TRIGGER vmailkit_domains_delete BEFORE DELETE ON virtual_domains FOR EACH ROW
BEGIN
  DECLARE done int DEFAULT 0;
  DECLARE child text CHARACTER SET utf8mb4;
  DECLARE children CURSOR FOR
    SELECT CONVERT(email USING utf8mb4) FROM virtual_users WHERE domain_id = OLD.id
    UNION ALL
    SELECT CONVERT(source USING utf8mb4) FROM virtual_aliases WHERE domain_id = OLD.id;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
    CALL vmailkit_note('everything', '');
  END;
  CALL vmailkit_note('domain', OLD.name);
  OPEN children;
  FETCH children INTO child;
  WHILE NOT done DO
    IF NOT CAST(LOWER(SUBSTRING_INDEX(child, '@', -1)) AS BINARY)
        <=> CAST(LOWER(CONVERT(OLD.name USING utf8mb4)) AS BINARY) THEN
      CALL vmailkit_note('address', child);
    END IF;
    FETCH children INTO child;
  END WHILE;
  CLOSE children;
END//
