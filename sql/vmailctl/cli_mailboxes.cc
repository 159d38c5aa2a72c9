#include "sql/vmailctl/cli_parts.h"

namespace vmail::sql {
namespace {

CLI::App* with_which(CLI::App* sub, Arguments& a) {
  sub->add_option("ADDRESS", a.which.address, "The mailbox");
  sub->add_option("--domain", a.which.domain, "Those of a domain");
  sub->add_flag("--all", a.which.all, "All of them");
  return sub;
}

}  // namespace

void add_mailboxes(CLI::App& program, Arguments& a) {
  CLI::App* state = add(*program.get_subcommand("user"), a, "state", "Show or change what goes on in a mailbox",
                        [&a](const App& app) { return user_state(app, a.name, a.second); });
  state->add_option("NAME", a.name, "The mail address, or @DOMAIN")->required();
  state
      ->add_option("STATE", a.second,
                   "on; no-login; no-mail: new mail is refused; hold: new mail waits at its sender; off: all of it")
      ->check(CLI::IsMember({"on", "no-login", "no-mail", "hold", "off"}));

  CLI::App* mailbox = program.add_subcommand("mailbox", "The Maildirs of users, on this host")->require_subcommand(1);
  with_which(add(*mailbox, a, "check", "Look for wrong sizes, leftovers, wrong owners and modes, a wrong maildirsize",
                 [&a](const App& app) { return mailbox_check(app, a.which, a.flag); }),
             a)
      ->add_flag("--repair", a.flag, "Mend what can be mended");
  with_which(
      add(*mailbox, a, "usage", "How full they are", [&a](const App& app) { return mailbox_usage(app, a.which); }), a);
  add(*mailbox, a, "path", "Where the mail lies", [&a](const App& app) { return mailbox_path(app, a.name); })
      ->add_option("ADDRESS", a.name, "The mail address")
      ->required();
}

}  // namespace vmail::sql
