#include "sql/vmailctl/cli.h"

#include <sysexits.h>

#include <iostream>

#include "shared/base/text.h"
#include "shared/config/config.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/cli_parts.h"
#include "sql/vmailctl/failure.h"
#include "sql/vmailctl/health.h"
#include "sql/vmailctl/rule_objects.h"

namespace vmail::sql {
namespace {

constexpr int kUnknown = static_cast<int>(Level::Unknown);

const std::map<std::string, MailFate> kFates = {
    {"keep", MailFate::Keep}, {"archive", MailFate::Archive}, {"purge", MailFate::Purge}};

std::optional<MailFate> fate_of(const Arguments& arguments) {
  if (arguments.fate.empty()) return std::nullopt;
  return kFates.at(arguments.fate);
}

void add_fate(CLI::App* sub, Arguments& arguments) {
  sub->add_option("--mail", arguments.fate, "What becomes of the mail: keep, archive or purge")
      ->check(CLI::IsMember({"keep", "archive", "purge"}));
}

void add_schema(CLI::App& program, Arguments& a) {
  CLI::App* schema = program.add_subcommand("schema", "Tables, rights and database users")->require_subcommand(1);
  const auto with_from = [&](CLI::App* sub) {
    sub->add_option("--from", a.from, "Host part of the daemons' database users, when the database is another machine");
  };
  with_from(add(*schema, a, "init", "Make the database, its tables and the daemons' users",
                [&a](const App& app) { return schema_init(app, a.from); }));
  add(*schema, a, "status", "Version, and what is pending or blocked and why", schema_status);
  add(*schema, a, "upgrade", "Bring an older schema up to date; no row is changed", [&a](const App& app) {
    return schema_upgrade(app, a.flag);
  })->add_flag("--dry-run", a.flag, "Show what would be done, change nothing");
  with_from(add(*schema, a, "verify", "Check tables, indexes, users, rights and password files",
                [&a](const App& app) { return schema_verify(app, a.from); }));
  CLI::App* feed = schema->add_subcommand("feed", "Triggers that tell the daemons what changes")->require_subcommand(1);
  add(*feed, a, "on", "Make or repair them", [](const App& app) { return schema_feed(app, true); });
  add(*feed, a, "off", "Remove them: changes are then seen as lifetimes end",
      [](const App& app) { return schema_feed(app, false); });
  schema->add_subcommand("print", "The schema as SQL")->callback([&a] {
    a.command = schema_print;
    a.needs_settings = false;
  });
  with_from(add(*schema, a, "grants", "Make or repair the daemons' users, rights and password files",
                [&a](const App& app) { return schema_grants(app, a.from); }));
}

void add_domain(CLI::App& program, Arguments& a) {
  CLI::App* domain = program.add_subcommand("domain", "Domains of ours")->require_subcommand(1);
  const auto named = [&](CLI::App* sub) {
    sub->add_option("NAME", a.name, "The domain")->required();
    return sub;
  };
  named(add(*domain, a, "add", "Add a domain", [&a](const App& app) { return domain_add(app, a.name); }));
  add(*domain, a, "list", "All domains", domain_list);
  named(add(*domain, a, "show", "One domain", [&a](const App& app) { return domain_show(app, a.name); }));
  CLI::App* remove = named(add(*domain, a, "remove", "Remove a domain",
                               [&a](const App& app) { return domain_remove(app, a.name, a.flag, fate_of(a)); }));
  remove->add_flag("--with-users", a.flag, "Its users and aliases too");
  add_fate(remove, a);
  named(add(*domain, a, "enable", "Switch a domain on",
            [&a](const App& app) { return domain_enable(app, a.name, true); }));
  named(add(*domain, a, "disable", "Switch a domain off: it then counts as not ours",
            [&a](const App& app) { return domain_enable(app, a.name, false); }));
}

void add_user(CLI::App& program, Arguments& a) {
  CLI::App* user = program.add_subcommand("user", "Mailboxes and their logins")->require_subcommand(1);
  const auto named = [&](CLI::App* sub) {
    sub->add_option("ADDRESS", a.name, "The mail address")->required();
    return sub;
  };
  named(add(*user, a, "add", "Add a mailbox; the password is asked for, or is the first line of standard input",
            [&a](const App& app) { return user_add(app, a.name, a.flag); }))
      ->add_flag("--adopt-mail", a.flag, "Give the new owner the mail that already lies there");
  add(*user, a, "list", "All users, or those of a domain", [&a](const App& app) {
    return user_list(app, a.name);
  })->add_option("DOMAIN", a.name, "The domain");
  named(add(*user, a, "show", "One user", [&a](const App& app) { return user_show(app, a.name); }));
  add_fate(named(add(*user, a, "remove", "Remove a user",
                     [&a](const App& app) { return user_remove(app, a.name, fate_of(a)); })),
           a);
  named(add(*user, a, "enable", "Switch a user on", [&a](const App& app) { return user_enable(app, a.name, true); }));
  named(add(*user, a, "disable", "Switch a user off: no login, no new mail",
            [&a](const App& app) { return user_enable(app, a.name, false); }));
  named(add(*user, a, "passwd", "Change the password, asked for or from standard input",
            [&a](const App& app) { return user_passwd(app, a.name); }));
}

void add_yes_or_no(CLI::App* sub, Arguments& a) {
  sub->add_option("--app-passwords-only", a.yes_or_no, "Whether the main password opens no mail service: yes or no")
      ->check(CLI::IsMember({"yes", "no"}));
}

std::optional<bool> app_passwords_only(const Arguments& a) {
  if (a.yes_or_no.empty()) return std::nullopt;
  return a.yes_or_no == "yes";
}

CLI::App* with_address(CLI::App* sub, Arguments& a) {
  sub->add_option("ADDRESS", a.name, "The mail address")->required();
  return sub;
}

void add_where(CLI::App* sub, std::optional<std::string>& services, std::optional<std::string>& networks) {
  sub->add_option("--services", services, "Out of imap, pop3, smtp and sieve, as one list; or all");
  sub->add_option("--networks", networks, "Such as '192.0.2.0/24 2001:db8::/32', as one list; or all");
}

void add_access(CLI::App& user, CLI::App& domain, Arguments& a) {
  CLI::App* access = with_address(add(user, a, "access", "Show or change what the login may be used for",
                                      [&a](const App& app) {
                                        a.access.app_passwords_only = app_passwords_only(a);
                                        return user_access(app, a.name, a.access);
                                      }),
                                  a);
  add_where(access, a.access.services, a.access.networks);
  access->add_option("--not-before", a.access.not_before, "2027-01-31 or '2027-01-31 18:00'; or never");
  access->add_option("--not-after", a.access.not_after, "The same; a day counts to its end");
  add_yes_or_no(access, a);

  CLI::App* of_domain = add(domain, a, "access", "Show or change whether its users need app passwords",
                            [&a](const App& app) { return domain_access(app, a.name, app_passwords_only(a)); });
  of_domain->add_option("NAME", a.name, "The domain")->required();
  add_yes_or_no(of_domain, a);
}

void add_lock(CLI::App& user, Arguments& a) {
  with_address(add(user, a, "lock", "End the use of a stolen account at once, the database being there or not",
                   [&a](const App& app) { return user_lock(app, a.name, a.flag); }),
               a)
      ->add_flag("--hold", a.flag, "Put its mail that is in the queue on hold");
  with_address(
      add(user, a, "unlock", "Let it be used again", [&a](const App& app) { return user_unlock(app, a.name); }), a);
}

void add_app_passwords(CLI::App& program, Arguments& a) {
  CLI::App* object =
      program.add_subcommand("app-password", "Passwords for one program or device each")->require_subcommand(1);
  CLI::App* added = with_address(add(*object, a, "add", "Make one, and show it this once",
                                     [&a](const App& app) { return app_password_add(app, a.name, a.wish); }),
                                 a);
  added->add_option("--label", a.wish.label, "What it is for, such as 'phone'")->required();
  add_where(added, a.wish.services, a.wish.networks);
  added->add_option("--expires", a.wish.expires, "The last day, 2027-01-31, or '2027-01-31 18:00'");
  add(*object, a, "list", "All of them, or those of a user", [&a](const App& app) {
    return app_password_list(app, a.name);
  })->add_option("ADDRESS", a.name, "The mail address");
  with_address(add(*object, a, "revoke", "Take one away",
                   [&a](const App& app) { return app_password_revoke(app, a.name, a.second); }),
               a)
      ->add_option("WHICH", a.second, "Its selector or label")
      ->required();
}

void add_auth(CLI::App& program, Arguments& a) {
  CLI::App* auth = program.add_subcommand("auth", "Logins, as vmail-authd decides them")->require_subcommand(1);
  CLI::App* test = add(*auth, a, "test",
                       "Say what a login would come to and why; the password is asked for, or is the first line of "
                       "standard input",
                       [&a](const App& app) { return auth_test(app, a.name, a.second, a.from); });
  test->add_option("USER", a.name, "As it is typed at a login")->required();
  test->add_option("--service", a.second, "imap, pop3, smtp or sieve");
  test->add_option("--from", a.from, "The client's IP address");
}

void add_logins(CLI::App& program, Arguments& a) {
  CLI::App& user = *program.get_subcommand("user");
  add_access(user, *program.get_subcommand("domain"), a);
  add_lock(user, a);
  add_app_passwords(program, a);
  add_auth(program, a);
}

// A catch-all is the alias of "@DOMAIN".
void add_aliases(CLI::App& program, Arguments& a, bool catch_all) {
  CLI::App* object = program
                         .add_subcommand(catch_all ? "catch-all" : "alias",
                                         catch_all ? "Where mail for a domain's other addresses goes"
                                                   : "Addresses that lead to others")
                         ->require_subcommand(1);
  const auto source = [&a, catch_all] { return catch_all && a.name.substr(0, 1) != "@" ? '@' + a.name : a.name; };
  const auto named = [&](CLI::App* sub) {
    sub->add_option(catch_all ? "DOMAIN" : "SOURCE", a.name, catch_all ? "The domain" : "The address, or @domain")
        ->required();
    return sub;
  };
  const auto with_second = [&](CLI::App* sub) {
    named(sub)->add_option("DESTINATION", a.second, "Only this destination");
    return sub;
  };
  named(add(*object, a, "add", "Add destinations",
            [&a, source](const App& app) { return alias_add(app, source(), a.names); }))
      ->add_option("DESTINATION", a.names, "Where it leads")
      ->required();
  if (catch_all) {
    add(*object, a, "list", "All of them", catch_all_list);
  } else {
    add(*object, a, "list", "All aliases, or those of a domain", [&a](const App& app) {
      return alias_list(app, a.name);
    })->add_option("DOMAIN", a.name, "The domain");
  }
  named(add(*object, a, "show", "One, and where it leads in the end",
            [source](const App& app) { return alias_show(app, source()); }));
  with_second(add(*object, a, "remove", "Remove one, or one of its destinations",
                  [&a, source](const App& app) { return alias_remove(app, source(), a.second); }));
  with_second(add(*object, a, "enable", "Switch one on",
                  [&a, source](const App& app) { return alias_enable(app, source(), a.second, true); }));
  with_second(add(*object, a, "disable", "Switch one off",
                  [&a, source](const App& app) { return alias_enable(app, source(), a.second, false); }));
}

void add_extra_domains(CLI::App& program, Arguments& a, DomainKind kind, const char* name, const char* help) {
  CLI::App* object = program.add_subcommand(name, help)->require_subcommand(1);
  const auto named = [&](CLI::App* sub) {
    sub->add_option("DOMAIN", a.name, "The domain")->required();
    return sub;
  };
  CLI::App* added = named(add(*object, a, "add", "Add one",
                              [&a, kind](const App& app) { return extra_domain_add(app, kind, a.name, a.second); }));
  if (kind == DomainKind::Alias) {
    added->add_option("TARGET", a.second, "The domain of ours whose addresses it has")->required();
  }
  add(*object, a, "list", "All of them", [kind](const App& app) { return extra_domain_list(app, kind); });
  named(add(*object, a, "remove", "Remove one",
            [&a, kind](const App& app) { return extra_domain_remove(app, kind, a.name); }));
  named(add(*object, a, "enable", "Switch one on",
            [&a, kind](const App& app) { return extra_domain_enable(app, kind, a.name, true); }));
  named(add(*object, a, "disable", "Switch one off: it then counts as not ours",
            [&a, kind](const App& app) { return extra_domain_enable(app, kind, a.name, false); }));
}

void add_rules(CLI::App& program, Arguments& a, const RuleObject& object) {
  CLI::App* parent = program.add_subcommand(object.name, object.help)->require_subcommand(1);
  std::vector<directory::RuleKind> all;
  for (const auto& [word, kind] : object.kinds) all.push_back(kind);
  const auto kind = [&a, &object] { return object.kinds.at(a.direction); };
  const auto value = [&a, &object] { return object.value_name[0] == '\0' ? object.fixed : a.second; };
  const auto with = [&](CLI::App* sub, bool value_required) {
    if (object.kinds.size() > 1) {
      sub->add_option("WHICH", a.direction, "Which of the two")->required()->check(CLI::IsMember(object.kinds));
    }
    sub->add_option("NAME", a.name, object.name_help)->required();
    if (object.value_name[0] == '\0') return;
    CLI::Option* option = sub->add_option(object.value_name, a.second, object.value_help);
    if (value_required) option->required();
  };
  with(add(*parent, a, "add", "Add a rule",
           [&a, kind, value](const App& app) { return rule_add(app, kind(), a.name, value()); }),
       true);
  add(*parent, a, "list", "All of them, or those of a name", [&a, all](const App& app) {
    return rule_list(app, all, a.name);
  })->add_option("NAME", a.name, object.name_help);
  with(add(*parent, a, "remove", "Remove what is said of a name, or one of it",
           [&a, kind](const App& app) { return rule_remove(app, kind(), a.name, a.second); }),
       false);
  with(add(*parent, a, "enable", "Switch it on",
           [&a, kind](const App& app) { return rule_enable(app, kind(), a.name, a.second, true); }),
       false);
  with(add(*parent, a, "disable", "Switch it off",
           [&a, kind](const App& app) { return rule_enable(app, kind(), a.name, a.second, false); }),
       false);
}

void add_daemons(CLI::App& program, Arguments& a) {
  const auto with_daemon = [&](CLI::App* sub) {
    sub->add_option("--daemon", a.daemon, "Only this one: maps, auth or store")
        ->check(CLI::IsMember({"maps", "auth", "store"}));
    return sub;
  };
  with_daemon(add(program, a, "status", "How the daemons of this host are; ends as monitoring expects",
                  [&a](const App& app) { return status(app, a.daemon); }));
  CLI::App* cache = program.add_subcommand("cache", "What the daemons hold in memory")->require_subcommand(1);
  with_daemon(add(*cache, a, "stats", "Counts and sizes", [&a](const App& app) {
    return cache_stats(app, a.daemon, a.flag);
  }))->add_flag("--check", a.flag, "End as monitoring expects: 0 good, 1 warning, 2 critical, 3 unknown");
  with_daemon(add(*cache, a, "show", "What is known about an address",
                  [&a](const App& app) { return cache_show(app, a.daemon, a.name); }))
      ->add_option("KEY", a.name, "The address, or @domain for its catch-all")
      ->required();
  CLI::App* flush = with_daemon(add(*cache, a, "flush", "Read anew what is in memory",
                                    [&a](const App& app) { return cache_flush(app, a.daemon, a.names, a.flag); }));
  flush->add_option("KEY", a.names, "Addresses, or @domain for all of a domain");
  flush->add_flag("--all", a.flag, "Everything");
  with_daemon(add(*cache, a, "confirm", "Say that the loss of rows which the guard did not believe is right",
                  [&a](const App& app) { return cache_confirm(app, a.daemon); }));
}

void add_maps(CLI::App& program, Arguments& a) {
  CLI::App* map = program.add_subcommand("map", "The maps of Postfix")->require_subcommand(1);
  CLI::App* get = add(*map, a, "get", "Ask vmail-mapd as Postfix does",
                      [&a](const App& app) { return map_get(app, a.name, a.second); });
  get->add_option("NAME", a.name, "The map, such as aliases")->required();
  get->add_option("KEY", a.second, "What to look up")->required();
  CLI::App* check = program.add_subcommand("check", "Whether others agree with us")->require_subcommand(1);
  add(*check, a, "postfix", "Compare main.cf with vmailkit.toml", check_postfix);
  CLI::App* level =
      add(program, a, "log-level", "Tell or change what the daemons log, until they read their settings again",
          [&a](const App& app) { return log_level(app, a.daemon, a.name); });
  level->add_option("LEVEL", a.name, "error, warning, info or debug")
      ->check(CLI::IsMember({"error", "warning", "info", "debug"}));
  level->add_option("--daemon", a.daemon, "Only this one: maps, auth or store")
      ->check(CLI::IsMember({"maps", "auth", "store"}));
}

void add_limits(CLI::App& program, Arguments& a) {
  CLI::App* limits =
      program.add_subcommand("limits", "How much logins may send, and what is held")->require_subcommand(1);
  const auto named = [&](CLI::App* sub, const char* name, const char* help) {
    return sub->add_option(name, a.name, help)->required();
  };
  add(*limits, a, "show", "What has been sent, and what is held", [&a](const App& app) {
    return limits_show(app, a.name);
  })->add_option("NAME", a.name, "Only this login, @DOMAIN or network");
  CLI::App* set = add(*limits, a, "set", "Give a login or domain other limits than the configuration does",
                      [&a](const App& app) { return limits_set(app, a.name, a.names); });
  named(set, "NAME", "The login, or @DOMAIN");
  set->add_option("LIMIT", a.names, "Such as 'recipients 5000/1d'; none at all: those of the configuration again");
  named(add(*limits, a, "reset", "Let what was sent so far not count any more",
            [&a](const App& app) { return limits_reset(app, a.name); }),
        "NAME", "The login, @DOMAIN or network");
  named(add(*limits, a, "release", "Let the held messages of a login go; as root, on the host that holds them",
            [&a](const App& app) { return limits_release(app, a.name); }),
        "LOGIN", "The login");
  named(add(*limits, a, "discard", "Delete them", [&a](const App& app) { return limits_discard(app, a.name); }),
        "LOGIN", "The login");
}

void add_throttle(CLI::App& program, Arguments& a) {
  CLI::App* throttle =
      program.add_subcommand("throttle", "Who has failed too often to log in again")->require_subcommand(1);
  add(*throttle, a, "show", "Whose failures count, the fullest first", throttle_show);
  add(*throttle, a, "why", "What counts against an account or a network",
      [&a](const App& app) { return throttle_why(app, a.name); })
      ->add_option("NAME", a.name, "An address, or an IP address")
      ->required();
  CLI::App* clear = add(*throttle, a, "clear", "Let its failures not count any more",
                        [&a](const App& app) { return throttle_clear(app, a.name, a.flag); });
  clear->add_option("NAME", a.name, "An address, or an IP address");
  clear->add_flag("--all", a.flag, "Everybody's");
}

// Whoever runs these takes 1 and 2 for what they say of the daemons, so that no other failure may end so.
bool is_for_monitoring(const CLI::App& program) {
  return program.got_subcommand("status") ||
         (program.got_subcommand("cache") && program.get_subcommand("cache")->got_subcommand("stats"));
}

// Of the commands that were given, the last: what is missing, or misspelt, belongs to it.
const CLI::App& innermost(const CLI::App& app) {
  const auto given = app.get_subcommands();
  return given.empty() ? app : innermost(*given.back());
}

// Empty: it takes no further command.
std::string commands_of(const CLI::App& app) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return names;
}

int run_command(const Arguments& arguments, Output& output) {
  const config::Settings settings = arguments.needs_settings ? config::load(arguments.file) : config::Settings{};
  return arguments.command({settings, output});
}

}  // namespace

CLI::App* add(CLI::App& parent, Arguments& arguments, const char* name, const char* help, Command command) {
  CLI::App* sub = parent.add_subcommand(name, help);
  sub->callback([&arguments, command = std::move(command)] { arguments.command = command; });
  return sub;
}

int run(int argc, char** argv) {
  CLI::App program("vmailctl: domains, users, aliases, rules, schema and daemons of vmailkit", "vmailctl");
  Arguments arguments;
  program.add_option("--config", arguments.file, "Configuration file")->capture_default_str();
  program.add_flag("--json", arguments.json, "For programs: one JSON value on standard output");
  program.set_version_flag("--version", VMAILKIT_VERSION);
  program.require_subcommand(1)->fallthrough();
  add_schema(program, arguments);
  add_domain(program, arguments);
  add_user(program, arguments);
  add_logins(program, arguments);
  add_aliases(program, arguments, false);
  add_aliases(program, arguments, true);
  add_extra_domains(program, arguments, DomainKind::Alias, "alias-domain", "Domains with the addresses of another");
  add_extra_domains(program, arguments, DomainKind::Relay, "relay-domain", "Domains whose mail is passed on");
  for (const auto& object : rule_objects()) add_rules(program, arguments, object);
  add_mailboxes(program, arguments);
  add_limits(program, arguments);
  add_throttle(program, arguments);
  add_daemons(program, arguments);
  add_maps(program, arguments);
  try {
    program.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    const CLI::App& command = innermost(program);
    const std::string name = &command == &program ? "vmailctl" : "vmailctl " + command.get_name();
    const auto unknown = program.remaining(true);
    if (const std::string known = commands_of(command); known.empty()) {
      // What is missing is often there, but misspelt.
      if (!unknown.empty()) std::cerr << "vmailctl: '" << printable(unknown.front()) << "' is not known here\n";
      program.exit(error);
    } else if (unknown.empty()) {
      std::cerr << name << ": a command is missing; there are: " << known << '\n';
    } else {
      std::cerr << name << ": there is no '" << printable(unknown.front()) << "'; there are: " << known << '\n';
    }
    return is_for_monitoring(program) ? kUnknown : EX_USAGE;
  } catch (const CLI::ParseError& error) {
    if (program.exit(error) == 0) return 0;
    return is_for_monitoring(program) ? kUnknown : EX_USAGE;
  }
  Output output(arguments.json, std::cout, std::cerr);
  try {
    return run_command(arguments, output);
  } catch (...) {
    const int status = tell_exception(output, arguments.file);
    return is_for_monitoring(program) ? kUnknown : status;
  }
}

}  // namespace vmail::sql
