"""Rows of a site that uses all maps, and for each map the keys that Postfix might ask, with the answers due."""

ANNA, BEN, ARCHIVE = "anna@example.test", "ben@example.test", "archive@example.test"
LONG = "x" * 20000 + "@example.test"

QUERIES = """
[[maps.query]]
name = "vips"
query = '''
SELECT text FROM vips  -- the site's own table
WHERE login = :user AND domain = :domain ORDER BY id'''

[[maps.query]]
name = "helo"
query = "SELECT text FROM vips WHERE domain = :key LIMIT 1"

[[maps.query]]
name = "broken"
query = "SELECT text FROM nothing WHERE domain = :key"
"""

# Domains, and what each rule says. Names and values as an administrator might write them.
ROWS = """
INSERT INTO virtual_alias_domains (name, target) VALUES ('alias.test', 'example.test');
INSERT INTO virtual_relay_domains (name) VALUES ('relay.test'), ('xn--grn-ioa.test');
INSERT INTO virtual_rules (kind, name, value) VALUES
  ('transport', 'special@example.test', 'error:5.1.2 this one goes nowhere'),
  ('transport', 'relay.test', 'smtp:[127.0.0.1]:{second}'),
  ('transport', '.relay.test', 'error:5.1.2 nothing below'),
  ('transport', 'Bücher.test', ':'),
  ('send-as', 'ben@example.test', 'shared@partner.test'),
  ('send-as', 'ben@example.test', '@granted.test'),
  ('sender-bcc', 'anna@example.test', 'archive@example.test'),
  ('recipient-bcc', '@alias.test', 'archive@example.test'),
  ('recipient-bcc', 'copied@elsewhere.test', 'archive@example.test'),
  ('sender-relay', 'ben@example.test', '[127.0.0.1]:{second}'),
  ('sender-relay', '<>', '[127.0.0.1]:{second}'),
  ('sender-canonical', 'internal@example.test', 'Public.Name@example.test'),
  ('sender-canonical', '@hidden.test', '@example.test'),
  ('recipient-canonical', 'old@example.test', 'anna@example.test'),
  ('recipient-access', 'closed@example.test', 'REJECT closed for now, really'),
  ('recipient-access', '.relay.test', 'REJECT nothing below'),
  ('recipient-access', 'twice@example.test', 'REJECT one'),
  ('recipient-access', 'twice@example.test', 'REJECT two');
CREATE TABLE vips (id INT PRIMARY KEY, login VARCHAR(64), domain VARCHAR(255), text VARCHAR(255));
INSERT INTO vips VALUES (1, 'anna', 'example.test', 'first'), (2, 'anna', 'example.test', 'second'),
  (3, 'x', 'xn--bcher-kva.test', 'third'), (4, 'odd', 'example.test', 'two\\nlines'), (5, 'null', 'example.test', NULL),
  (6, 'vip', 'example.test', 'REJECT only by appointment');
GRANT SELECT ON vips TO 'vmailkit-maps'@'localhost';
"""

TABLES = {
    "domains": {
        "example.test": "1",
        "EXAMPLE.Test": "1",
        "alias.test": "1",
        "relay.test": None,
        "bücher.test": "1",
        "BÜCHER.test": "1",
        "xn--bcher-kva.test": "1",
        "elsewhere.test": None,
        "sub.example.test": None,
        "*": None,
        "<>": None,
        LONG: None,
    },
    "relay-domains": {
        "relay.test": "1",
        "Relay.TEST": "1",
        "grün.test": "1",
        "xn--grn-ioa.test": "1",
        "sub.relay.test": None,
        "example.test": None,
        "alias.test": None,
        "x@relay.test": None,
        "*": None,
        LONG: None,
    },
    "mailboxes": {
        ANNA: "1",
        "Anna+News@Example.TEST": "1",
        '"anna"@example.test': "1",
        "anna@alias.test": "1",
        "leser@bücher.test": "1",
        "leser@xn--bcher-kva.test": "1",
        "team@example.test": None,
        "an na@example.test": None,
        '"an na"@example.test': None,
        "anna@example.test@example.test": None,
        "example.test": None,
        "<>": None,
        "*": None,
        LONG: None,
    },
    "aliases": {
        "team@example.test": f"{ANNA},{BEN}",
        "Team+x@alias.test": "anna+x@example.test,ben+x@example.test",
        "anna@alias.test": ANNA,
        "whoever@catch.test": ANNA,
        "anna@example.test": None,
        "alias.test": None,
        "catch.test": None,
        "@catch.test": None,
        '"team x"@example.test': None,
        "team@example.test@catch.test": None,
        "<>": None,
        "*": None,
        LONG: None,
    },
    "transports": {
        "special@example.test": "error:5.1.2 this one goes nowhere",
        "Special+x@Example.test": "error:5.1.2 this one goes nowhere",
        "special@alias.test": "error:5.1.2 this one goes nowhere",
        "anna@example.test": None,
        "x@sub.relay.test": "error:5.1.2 nothing below",
        "x@a.b.relay.test": "error:5.1.2 nothing below",
        "x@bücher.test": ":",
        "x@xn--bcher-kva.test": ":",
        "xn--bcher-kva.test": ":",
        "*": None,
        "<>": None,
        '"a b"@elsewhere.test': None,
        "a@b@relay.test": None,
        LONG: None,
    },
    "sender-logins": {
        ANNA: ANNA,
        "ANNA+x@example.test": ANNA,
        "anna@alias.test": ANNA,
        "whoever@catch.test": ANNA,
        "shared@partner.test": BEN,
        "anything@granted.test": BEN,
        "somebody@elsewhere.test": None,
        "nobody@example.test": None,
        "example.test": None,
        "<>": None,
        "*": None,
        '"an na"@example.test': None,
        "a@b@example.test": None,
        LONG: None,
    },
    "sender-bcc": {
        ANNA: ARCHIVE,
        "Anna+x@alias.test": ARCHIVE,
        BEN: None,
        '""': None,
        "<>": None,
        "*": None,
        "example.test": None,
        LONG: None,
    },
    "recipient-bcc": {
        "anybody+x@Alias.test": ARCHIVE,
        "copied@elsewhere.test": ARCHIVE,
        "anybody@example.test": None,
        "alias.test": None,
        "a@b@alias.test": None,
        LONG: None,
    },
    "sender-canonical": {
        "internal@example.test": "Public.Name@example.test",
        "Internal+x@example.test": "Public.Name+x@example.test",
        "internal@alias.test": "Public.Name@example.test",
        "some+one@hidden.test": "some+one@example.test",
        "anna@example.test": None,
        "hidden.test": None,
        '""': None,
        "<>": None,
        LONG: None,
    },
    "recipient-canonical": {
        "OLD@example.test": ANNA,
        "old+x@example.test": "anna+x@example.test",
        "anna@example.test": None,
        "*": None,
        LONG: None,
    },
    "recipient-access": {
        "closed@example.test": "REJECT closed for now, really",
        "Closed+x@alias.test": "REJECT closed for now, really",
        "x@sub.relay.test": "REJECT nothing below",
        "x@relay.test": None,
        "anna@example.test": None,
        '"closed x"@example.test': None,
        "<>": None,
        LONG: None,
    },
    "vips": {
        "Anna+x@Example.test": "first,second",
        "x@bücher.test": "third",
        "vip@example.test": "REJECT only by appointment",
        "null@example.test": None,
        "nobody@example.test": None,
        "example.test": None,
        "' OR 1=1 -- @example.test": None,
        "anna@example.test@example.test": None,
        "<>": None,
        LONG: None,
    },
    "helo": {
        "Example.TEST": "first",
        "bücher.test": "third",
        "elsewhere.test": None,
        "<>": None,
        LONG: None,
    },
}
