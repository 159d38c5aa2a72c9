"""vmailctl's alias domains, relay domains, catch-alls and rules, on a real MariaDB."""

import unittest

import sql_tests
from sql_tests import SqlTestCase

LISI, WANG, ALL = "lisi@mydomain.com", "wang@mydomain.com", "all@mydomain.com"


def setUpModule():
    sql_tests.start_server()


class Case(SqlTestCase):
    """Each test has a new database with the domain mydomain.com, two users and an alias."""

    def setUp(self):
        super().setUp()
        self.ok("schema", "init")
        self.ok("domain", "add", "mydomain.com")
        for user in (LISI, WANG):
            self.ok("user", "add", user, stdin="123456lisi\n")
        self.ok("alias", "add", ALL, LISI, WANG)

    def rules(self):
        return self.admin.sql("SELECT kind, name, value, enable FROM virtual_rules ORDER BY id")


class AliasDomains(Case):
    def test_add_list_disable_enable_remove(self):
        self.assertEqual(
            self.ok("alias-domain", "add", "Alias.Test", "MyDomain.com"),
            "Added alias domain alias.test: its addresses are those of mydomain.com.\n",
        )
        self.assertEqual(self.admin.sql("SELECT * FROM virtual_alias_domains"), [["alias.test", "mydomain.com", "1"]])
        self.assertEqual(
            self.ok("alias-domain", "list"), "DOMAIN      ENABLED  TARGET\nalias.test  yes      mydomain.com\n"
        )
        self.ok("alias-domain", "disable", "alias.test")
        row = {"name": "alias.test", "enabled": False, "target": "mydomain.com"}
        self.assertEqual(self.json("alias-domain", "list"), [row])
        self.ok("alias-domain", "enable", "alias.test")
        self.assertTrue(self.json("alias-domain", "list")[0]["enabled"])
        self.assertEqual(self.json("alias-domain", "remove", "ALIAS.test"), {"removed": "alias.test"})
        self.assertEqual(self.json("alias-domain", "list"), [])

    def test_refused(self):
        self.ok("alias-domain", "add", "alias.test", "mydomain.com")
        self.ok("relay-domain", "add", "relay.test")
        self.refused("alias-domain", "add", "x.test", "nowhere.test", because="there is no domain nowhere.test")
        self.refused("alias-domain", "add", "x.test", "alias.test", because="is an alias domain")
        self.refused("alias-domain", "add", "x.test", "relay.test", because="is a relay domain")
        self.refused("alias-domain", "add", "x.test", "x.test", because="alias of itself")
        self.refused("alias-domain", "add", "nodots", "mydomain.com", because="cannot be a mail domain")
        for taken in ("mydomain.com", "alias.test", "relay.test"):
            self.refused("alias-domain", "add", taken, "mydomain.com", because="is there already")
        for command in ("remove", "enable", "disable"):
            self.refused("alias-domain", command, "x.test", because="there is no alias domain x.test")
            self.refused("alias-domain", command, "mydomain.com", because="there is no alias domain mydomain.com")
        hint = self.refused("domain", "remove", "mydomain.com", "--with-users", because="is the target of")
        self.assertIn("vmailctl alias-domain remove alias.test", hint)

    def test_what_leads_there_keeps_it(self):
        self.ok("domain", "add", "other.test")
        self.ok("alias-domain", "add", "alias.test", "mydomain.com")
        self.ok("alias", "add", "info@other.test", "lisi@alias.test")
        self.refused("alias-domain", "remove", "alias.test", because="aliases still lead there: info@other.test")
        self.ok("alias", "remove", "info@other.test")
        self.ok("bcc", "add", "sender", WANG, "lisi@alias.test")
        errors = self.refused("alias-domain", "remove", "alias.test", because="rules still name it: sender-bcc")
        self.assertIn(f"vmailctl bcc remove sender {WANG} lisi@alias.test", errors)
        self.ok("bcc", "remove", "sender", WANG)
        self.ok("alias-domain", "remove", "alias.test")

    def test_both_spellings_are_one(self):
        self.ok("alias-domain", "add", "bücher.example", "mydomain.com")
        self.refused("alias-domain", "add", "xn--bcher-kva.example", "mydomain.com", because="is there already")
        self.ok("alias-domain", "remove", "xn--bcher-kva.example")
        self.assertEqual(self.json("alias-domain", "list"), [])


class RelayDomains(Case):
    def test_add_list_disable_enable_remove(self):
        done = self.admin.run("relay-domain", "add", "Relay.Test")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.decode(), "Added relay domain relay.test: mail for it is taken and passed on.\n")
        self.assertIn("vmailctl transport add relay.test 'relay:[HOST]'", done.stderr.decode())
        self.assertEqual(self.ok("relay-domain", "list"), "DOMAIN      ENABLED\nrelay.test  yes\n")
        self.ok("relay-domain", "disable", "relay.test")
        self.assertEqual(self.json("relay-domain", "list"), [{"name": "relay.test", "enabled": False}])
        self.ok("relay-domain", "enable", "relay.test")
        self.ok("transport", "add", "relay.test", "relay:[192.0.2.1]")
        self.refused("relay-domain", "remove", "relay.test", because="rules still name it: transport relay.test")
        self.ok("transport", "remove", "relay.test")
        self.ok("relay-domain", "remove", "relay.test")
        self.assertEqual(self.json("relay-domain", "list"), [])

    def test_refused(self):
        self.ok("alias-domain", "add", "alias.test", "mydomain.com")
        for taken in ("mydomain.com", "alias.test"):
            self.refused("relay-domain", "add", taken, because="is there already")
        # What would take mail for anybody.
        for name in ("*", "com", ".com", "@relay.test", "a b.test", ""):
            self.refused("relay-domain", "add", name, because="cannot be a mail domain")


class CatchAlls(Case):
    def test_it_is_the_alias_of_the_domain(self):
        self.ok("catch-all", "add", "mydomain.com", LISI)
        self.assertEqual(
            self.ok("catch-all", "list"),
            f"DOMAIN        TO                 ENABLED\nmydomain.com  {LISI}  yes\n",
        )
        self.assertEqual(self.json("alias", "show", "@mydomain.com")["leads_to"], [LISI])
        self.assertEqual(self.json("catch-all", "show", "@MyDomain.com")["leads_to"], [LISI])
        self.ok("catch-all", "disable", "mydomain.com")
        self.assertEqual(
            self.json("catch-all", "list"), [{"domain": "mydomain.com", "destination": LISI, "enabled": False}]
        )
        self.ok("catch-all", "enable", "mydomain.com", LISI)
        self.refused("catch-all", "add", "mydomain.com", LISI, because="already")
        self.refused("catch-all", "add", "elsewhere.test", LISI, because="there is no domain elsewhere.test")
        self.ok("catch-all", "remove", "mydomain.com")
        self.refused("catch-all", "add", "mydomain.com", "nobody@mydomain.com", because="leads nowhere")
        self.assertEqual(self.json("catch-all", "list"), [])


class Rules(Case):
    def test_add_list_disable_enable_remove(self):
        self.assertEqual(
            self.ok("transport", "add", "Elsewhere.Test", "smtp:[relay.example]:25"),
            "Added the transport rule for elsewhere.test: smtp:[relay.example]:25\n",
        )
        self.assertEqual(
            self.json("transport", "add", "joe@elsewhere.test", "lmtp:unix:/run/lmtp"),
            {"kind": "transport", "name": "joe@elsewhere.test", "added": "lmtp:unix:/run/lmtp"},
        )
        self.assertEqual(
            self.ok("transport", "list"),
            "NAME                VALUE                    ENABLED\n"
            "elsewhere.test      smtp:[relay.example]:25  yes\n"
            "joe@elsewhere.test  lmtp:unix:/run/lmtp      yes\n",
        )
        self.assertEqual(
            self.json("transport", "disable", "ELSEWHERE.test"),
            {"kind": "transport", "name": "elsewhere.test", "values": ["smtp:[relay.example]:25"], "enabled": False},
        )
        row = {"kind": "transport", "name": "elsewhere.test", "value": "smtp:[relay.example]:25", "enabled": False}
        self.assertEqual(self.json("transport", "list", "elsewhere.test"), [row])
        self.ok("transport", "enable", "elsewhere.test")
        self.assertEqual(self.rules()[0][3], "1")
        self.assertEqual(
            self.json("transport", "remove", "elsewhere.test"),
            {"kind": "transport", "name": "elsewhere.test", "removed": ["smtp:[relay.example]:25"]},
        )
        self.assertEqual(len(self.rules()), 1)
        for command in ("remove", "enable", "disable"):
            self.refused("transport", command, "elsewhere.test", because="there is no transport rule for")

    def test_each_kind(self):
        cases = (
            (("transport", "add", "*", "smtp:[out.example]"), ["transport", "*", "smtp:[out.example]"]),
            (("transport", "add", ".Sub.Test", ":"), ["transport", ".sub.test", ":"]),
            (("transport", "add", "gone.test", "error:5.1.2 gone, for good"), None),
            (("send-as", "add", "LiSi@mydomain.com", "@MyDomain.com"), ["send-as", LISI, "@mydomain.com"]),
            (("send-as", "add", LISI, "*"), ["send-as", LISI, "*"]),
            (("send-as", "add", LISI, WANG), ["send-as", LISI, WANG]),
            (("bcc", "add", "sender", "@mydomain.com", LISI), ["sender-bcc", "@mydomain.com", LISI]),
            (("bcc", "add", "recipient", WANG, "log@elsewhere.test"), ["recipient-bcc", WANG, "log@elsewhere.test"]),
            (("relay", "add", "<>", "[out.example]:587"), ["sender-relay", "<>", "[out.example]:587"]),
            (("relay", "add", "@mydomain.com", "out.example"), ["sender-relay", "@mydomain.com", "out.example"]),
            (("canonical", "add", "sender", "root@host.test", LISI), ["sender-canonical", "root@host.test", LISI]),
            (("canonical", "add", "recipient", "@old.test", "@mydomain.com"),
             ["recipient-canonical", "@old.test", "@mydomain.com"]),
            (("access", "add", "gone@mydomain.com", "REJECT no longer here"),
             ["recipient-access", "gone@mydomain.com", "REJECT no longer here"]),
            (("access", "add", "mydomain.com", "OK"), ["recipient-access", "mydomain.com", "OK"]),
            (("access", "add", ".sub.test", "550 5.7.1 not there"),
             ["recipient-access", ".sub.test", "550 5.7.1 not there"]),
            (("protect", "add", ALL, "members"), ["protect", ALL, "members"]),
            (("protect", "add", ALL, "Boss@Elsewhere.test"), ["protect", ALL, "boss@elsewhere.test"]),
            (("external", "add", "out", LISI), ["external-out", LISI, "no"]),
            (("external", "add", "in", "MyDomain.com"), ["external-in", "mydomain.com", "no"]),
            (("quota", "add", LISI, "500M"), ["quota", LISI, "500M"]),
            (("quota", "add", "@mydomain.com", "0"), ["quota", "@mydomain.com", "0"]),
        )
        for arguments, row in cases:
            with self.subTest(arguments):
                self.ok(*arguments)
                self.assertEqual(self.rules()[-1][:3], row or ["transport", *arguments[2:]])
        for command in ("transport", "send-as", "bcc", "relay", "canonical", "access", "protect", "external", "quota"):
            rows = self.json(command, "list")
            self.assertTrue(rows)
            for row in rows:
                words = row["kind"].split("-") if command in ("bcc", "canonical", "external") else []
                which = [word for word in words if word in ("sender", "recipient", "in", "out")]
                value = [] if command == "external" else [row["value"]]
                self.ok(command, "disable", *which, row["name"], *value)
                self.ok(command, "remove", *which, row["name"], *value)
        self.assertEqual(self.rules(), [])

    def test_one_of_two_kinds_is_named(self):
        for command in ("bcc", "canonical"):
            self.refused(command, "add", "both", LISI, WANG, because="both", status=64)
        self.ok("bcc", "add", "sender", LISI, WANG)
        self.ok("bcc", "add", "recipient", LISI, WANG)
        self.assertEqual([row["kind"] for row in self.json("bcc", "list", LISI)], ["recipient-bcc", "sender-bcc"])
        self.assertIn("KIND", self.ok("bcc", "list"))
        self.ok("bcc", "remove", "sender", LISI)
        self.assertEqual([row["kind"] for row in self.json("bcc", "list")], ["recipient-bcc"])

    def test_several_values(self):
        for value in (WANG, "@mydomain.com", "*"):
            self.ok("send-as", "add", LISI, value)
        self.refused("send-as", "add", LISI, "Wang@MyDomain.com", because="already")
        self.refused("send-as", "remove", LISI, "other@mydomain.com", because="no send-as rule for")
        self.assertEqual(self.json("send-as", "remove", LISI, "WANG@mydomain.com")["removed"], [WANG])
        self.assertEqual(self.json("send-as", "remove", LISI)["removed"], ["@mydomain.com", "*"])
        self.ok("quota", "add", LISI, "1G")
        errors = self.refused("quota", "add", LISI, "2G", because=f"there is a quota rule for {LISI} already: 1G")
        self.assertIn(f"vmailctl quota remove {LISI}", errors)

    def test_names_that_cannot_be(self):
        for arguments in (
            ("transport", "add", "@mydomain.com", ":"),
            ("transport", "add", "<>", ":"),
            ("send-as", "add", "@mydomain.com", "*"),
            ("bcc", "add", "sender", "mydomain.com", LISI),
            ("relay", "add", "*", "out.example"),
            ("canonical", "add", "sender", "<>", LISI),
            ("access", "add", "*", "REJECT"),
            ("protect", "add", "@mydomain.com", "members"),
            ("external", "add", "in", ".mydomain.com"),
            ("quota", "add", "mydomain.com", "1G"),
        ):
            self.refused(*arguments, because="cannot be the name of a")
        self.refused("transport", "add", "no domain", ":", because="cannot be a mail domain")
        self.refused("quota", "add", "a b@mydomain.com", "1G", because="no mail server would take")

    def test_values_that_cannot_be(self):
        for value in ("smtp", "[relay.example]", "sm tp:x", "smtp:[relay", "smtp:[a]b", "smtp:a:b:c", "smtp:a:0",
                      "smtp:a b", "smtp:-a", "lmtp:unix:", "smtp:a,b", "smtp:a\tb", ""):
            self.refused("transport", "add", "x.test", value, because="is no value of a transport rule")
        for value in ("", "smtp:[a]", "[a", "a:70000", "a b", "/path"):
            self.refused("relay", "add", LISI, value, because="is no value of a sender-relay rule")
        for value in ("", "1X", "G", "1.5G", "-1", "M1", "2000000T", "99999999999999999999"):
            self.refused("quota", "add", "--", LISI, value, because="is no value of a quota rule")
        for value in ("", "ALLOW", "RELAY", "permit", "99", "550", "650 x", "OK now", "DUNNO x", "REDIRECT", "FILTER x",
                      "PREPEND x", "check_recipient_access hash:x"):
            self.refused("access", "add", LISI, value, because="is no value of a recipient-access rule")
        self.refused("protect", "add", ALL, "everybody", because="is no value of a protect rule")
        self.refused("bcc", "add", "sender", LISI, "two@a.test,b.test@", because="no mail server would take")
        self.assertEqual(self.rules(), [])

    def test_what_would_be_about_nobody(self):
        self.ok("relay-domain", "add", "relay.test")
        self.refused("send-as", "add", "nobody@mydomain.com", "*", because="there is no user nobody@mydomain.com")
        self.refused("send-as", "add", ALL, "*", because="there is no user all@mydomain.com")
        self.refused("send-as", "add", "joe@elsewhere.test", "*", because="there is no domain elsewhere.test")
        self.refused("send-as", "add", "joe@relay.test", "*", because="is a relay domain")
        self.refused("protect", "add", LISI, "members", because="there is no alias lisi@mydomain.com")
        self.refused("quota", "add", ALL, "1G", because="there is no user all@mydomain.com")
        self.refused("quota", "add", "@elsewhere.test", "1G", because="there is no domain elsewhere.test")
        self.refused("external", "add", "in", "elsewhere.test", because="there is no domain elsewhere.test")
        self.refused("external", "add", "in", "nobody@mydomain.com", because="leads nowhere")
        self.refused("bcc", "add", "sender", "nobody@mydomain.com", LISI, because="leads nowhere")
        self.refused("transport", "add", "nobody@mydomain.com", "smtp:[a.test]", because="leads nowhere")

    def test_what_would_lead_nowhere_or_round(self):
        self.refused("bcc", "add", "recipient", LISI, "nobody@mydomain.com", because="leads nowhere")
        self.refused("bcc", "add", "recipient", LISI, LISI, because="would go to lisi@mydomain.com itself")
        self.ok("alias", "add", "me@mydomain.com", LISI)
        self.refused("bcc", "add", "recipient", LISI, "me@mydomain.com", because="would go to lisi@mydomain.com itself")
        self.ok("bcc", "add", "recipient", ALL, "me@mydomain.com")
        self.refused("access", "add", LISI, "REDIRECT nobody@mydomain.com", because="leads nowhere")

        self.refused("canonical", "add", "recipient", LISI, LISI, because="would become itself")
        self.refused("canonical", "add", "recipient", LISI, "nobody@mydomain.com", because="leads nowhere")
        self.refused("canonical", "add", "recipient", LISI, "@mydomain.com", because="cannot become the whole domain")
        self.ok("canonical", "add", "recipient", "a@x.test", "b@x.test")
        self.ok("canonical", "add", "recipient", "b@x.test", "c@x.test")
        errors = self.refused("canonical", "add", "recipient", "c@x.test", "a@x.test", because="would be a loop")
        self.assertIn("c@x.test -> a@x.test -> b@x.test -> c@x.test", errors)
        self.ok("canonical", "add", "sender", "c@x.test", "a@x.test")  # that is another map
        self.ok("canonical", "add", "recipient", "@y.test", "@z.test")
        self.refused("canonical", "add", "recipient", "@z.test", "@y.test", because="would be a loop")
        self.refused("canonical", "add", "recipient", "@z.test", "joe@y.test", because="would be a loop")
        self.ok("canonical", "add", "recipient", "joe@z.test", "joe@x.test")

        self.refused("transport", "add", "x.test", "smtp:mydomain.com", because="would come back here")
        self.refused("relay", "add", LISI, "MyDomain.com:25", because="would come back here")
        self.ok("transport", "add", "x.test", "smtp:[mydomain.com]:2525")

    def test_no_open_relay(self):
        for name in ("elsewhere.test", "joe@elsewhere.test", ".mydomain.com"):
            self.refused("access", "add", name, "OK", because="an open relay")
            self.refused("access", "add", name, "ok", because="an open relay")
        self.ok("relay-domain", "add", "relay.test")
        self.ok("access", "add", "relay.test", "OK")
        self.ok("access", "add", LISI, "OK")

    def test_remarks(self):
        for arguments, remark in (
            (("send-as", "add", LISI, "*"), "may now send as anybody"),
            (("send-as", "add", LISI, "@elsewhere.test"), "is not a domain of ours"),
            (("transport", "add", "*", "smtp:[out.example]"), "mail for your own domains goes there too"),
        ):
            self.assertIn(remark, self.admin.run(*arguments).stderr.decode())
        self.assertEqual(self.admin.run("send-as", "add", WANG, "@mydomain.com").stderr, b"")

    def test_rows_that_others_wrote(self):
        self.admin.sql(
            "INSERT INTO virtual_rules (kind, name, value, enable) VALUES"
            " ('quota', 'LiSi@MyDomain.com', '5M', 1), ('unknown', 'x', 'y', 1), ('transport', 'no domain', 'x', 0)"
        )
        self.assertEqual([row["value"] for row in self.json("quota", "list", LISI)], ["5M"])
        self.refused("quota", "add", LISI, "6M", because="already: 5M")
        self.ok("quota", "remove", LISI)
        self.assertEqual([row["name"] for row in self.json("transport", "list")], ["no domain"])
        self.ok("transport", "remove", "no domain")
        self.assertEqual(self.rules(), [["unknown", "x", "y", "1"]])


class Removals(Case):
    """What a rule is about or leads to cannot just go."""

    def test_rules_about_a_user_go_with_the_user(self):
        self.ok("send-as", "add", LISI, "*")
        self.ok("quota", "add", LISI, "1G")
        self.ok("quota", "add", WANG, "1G")
        self.ok("alias", "remove", ALL, LISI)
        self.ok("user", "remove", LISI, "--mail", "keep")
        self.assertEqual([row[1] for row in self.rules()], [WANG])

    def test_rules_that_lead_to_a_user_keep_the_user(self):
        self.ok("bcc", "add", "recipient", WANG, LISI)
        self.ok("alias", "remove", ALL, LISI)
        errors = self.refused("user", "remove", LISI, "--mail", "keep", because="rules still name it: recipient-bcc")
        self.assertIn(f"vmailctl bcc remove recipient {WANG} {LISI}", errors)
        self.ok("alias", "add", "@mydomain.com", WANG)  # somebody else gets the copies then
        self.ok("user", "remove", LISI, "--mail", "keep")

    def test_an_alias(self):
        self.ok("protect", "add", ALL, "members")
        self.ok("bcc", "add", "sender", LISI, ALL)
        self.refused("alias", "remove", ALL, because="rules still name it: sender-bcc")
        self.ok("alias", "remove", ALL, LISI)
        self.ok("bcc", "remove", "sender", LISI)
        self.ok("alias", "remove", ALL)
        self.assertEqual(self.rules(), [])

    def test_a_domain(self):
        self.ok("domain", "add", "other.test")
        self.ok("user", "add", "joe@other.test", stdin="123456lisi\n")
        self.ok("bcc", "add", "sender", LISI, "joe@other.test")
        self.ok("bcc", "add", "sender", "joe@other.test", "joe@elsewhere.test")
        self.ok("external", "add", "in", "other.test")
        remove = ("domain", "remove", "other.test", "--with-users", "--mail", "keep")
        self.refused(*remove, because=f"rules still name it: sender-bcc {LISI}")
        self.ok("bcc", "remove", "sender", LISI)
        self.ok(*remove)
        self.assertEqual(self.rules(), [])

        self.ok("domain", "add", "other.test")
        self.ok("transport", "add", "other.test", ":")
        self.refused("domain", "remove", "other.test", because="rules still name it: transport other.test")
        self.ok("transport", "remove", "other.test")
        self.ok("domain", "remove", "other.test")


class OlderSchema(SqlTestCase):
    def test_rules_want_the_upgrade(self):
        self.admin.make_original()
        for arguments in (("quota", "list"), ("quota", "remove", LISI), ("quota", "add", LISI, "1G"),
                          ("alias-domain", "add", "x.test", "mydomain.com")):
            errors = self.refused(*arguments, because="an older schema")
            self.assertIn("vmailctl schema upgrade", errors)


if __name__ == "__main__":
    unittest.main()
