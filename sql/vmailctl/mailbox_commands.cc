// vmailctl mailbox: the Maildirs themselves.
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/config/config.h"
#include "shared/config/limit.h"
#include "shared/maildir/mailbox_usage.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/mail_tree.h"
#include "sql/vmailctl/mailbox_check.h"
#include "sql/vmailctl/progress.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/rules.h"

namespace vmail::sql {
namespace {

struct Box {
  std::string name;  // as its row has it
  Address address;
};

// In the database's order. Those that can have no place on the disk are left out of a list, and refused by name.
std::vector<Box> boxes_of(Catalog& catalog, const MailTree& tree, const WhichMailboxes& which) {
  const int given = (which.address.empty() ? 0 : 1) + (which.domain.empty() ? 0 : 1) + (which.all ? 1 : 0);
  if (given != 1) throw Refusal("say which mailboxes: an ADDRESS, --domain DOMAIN or --all", "");
  std::vector<User> users;
  if (which.address.empty()) {
    users = catalog.users(which.all ? "" : require_own_domain(catalog, domain_key(which.domain)).id);
  } else {
    const std::string key = address_key(which.address).text();
    auto user = catalog.user(key);
    if (!user) throw Refusal("there is no user " + key, "`vmailctl user list` shows them.");
    users.push_back(std::move(*user));
  }
  std::vector<Box> boxes;
  for (const auto& user : users) {
    const auto address = parse_address(user.address);
    if (address && (!which.address.empty() || tree.has_place(*address))) boxes.push_back({user.address, *address});
  }
  return boxes;
}

Owner owner_of(const config::Settings& settings) {
  Owner owner;
  const std::string &user = settings.mailboxes.owner, &group = settings.mailboxes.group;
  if (const auto number = parse_number(user)) {
    owner.uid = static_cast<uid_t>(*number);
  } else if (const passwd* entry = ::getpwnam(user.c_str())) {
    owner.uid = entry->pw_uid;
  } else {
    throw config::SettingError("mailboxes.owner", "there is no user \"" + user + '"');
  }
  if (const auto number = parse_number(group)) {
    owner.gid = static_cast<gid_t>(*number);
  } else if (const ::group* entry = ::getgrnam(group.c_str())) {
    owner.gid = entry->gr_gid;
  } else {
    throw config::SettingError("mailboxes.group", "there is no group \"" + group + '"');
  }
  return owner;
}

// The quota rules, by key.
class Quotas {
 public:
  explicit Quotas(mysql::Connection& connection) {
    for (const auto& rule : RuleTable(connection).all(RuleKind::Quota)) {
      if (rule.enabled) rules_.push_back(rule);
    }
  }
  // Nothing when there is no rule, or none that can be used.
  std::optional<QuotaLimits> of(const Address& address) const {
    const std::string key = address_key(address.text()).text();
    if (const Rule* rule = find(key)) return config::parse_quota(rule->value);
    const Rule* rule = find(key.substr(key.rfind('@')));
    return rule == nullptr ? std::nullopt : config::parse_quota(rule->value);
  }

 private:
  const Rule* find(const std::string& key) const {
    for (const auto& rule : rules_) {
      if (rule.key() == key) return &rule;
    }
    return nullptr;
  }
  std::vector<Rule> rules_;
};

Json findings_of(const CheckedMailbox& checked) {
  Json findings = Json::array();
  for (const auto& finding : checked.findings) {
    findings.push_back({{"where", finding.where}, {"what", finding.what}, {"repaired", finding.repaired}});
  }
  return findings;
}

void tell(Output& output, const Box& box, const CheckedMailbox& checked) {
  for (const auto& finding : checked.findings) {
    output.text(fmt::format("{}: {}: {}{}", printable(box.name), printable(finding.where.empty() ? "." : finding.where),
                            finding.what, finding.repaired ? " (repaired)" : ""));
  }
  if (checked.left_out > 0) output.text(fmt::format("{}: and {} more", printable(box.name), checked.left_out));
}

// Of 100; the fuller of the two measures.
Json percent(const maildir::Usage& usage, const QuotaLimits& limits) {
  const auto part = [](std::uint64_t used, std::uint64_t limit) {
    return limit == 0 ? 0 : static_cast<double>(used) * 100 / static_cast<double>(limit);
  };
  if (!limits.any()) return nullptr;
  return static_cast<std::uint64_t>(std::max(part(usage.bytes, limits.bytes), part(usage.messages, limits.messages)));
}

Json limit_or_null(std::uint64_t limit) {
  return limit == 0 ? Json() : Json(limit);
}

}  // namespace

int mailbox_check(const App& app, const WhichMailboxes& which, bool repair) {
  const auto connection = connect(app);
  Catalog catalog(*connection);
  MailTree tree(app.settings);
  const auto boxes = boxes_of(catalog, tree, which);
  const Quotas quotas(*connection);
  maildir::RealFiles files;
  const bool shown = on_terminal() && !app.output.json();
  Progress progress(boxes.size() == 1 ? 0 : boxes.size(), shown);
  CheckOptions options;
  options.repair = repair;
  options.owner = owner_of(app.settings);
  if (boxes.size() == 1) {
    options.more = [&](std::uint64_t count) { progress.more(count); };
    options.step = [&] { progress.step(boxes[0].name); };
  }
  Json result = Json::array();
  std::uint64_t messages = 0, found = 0, unmended = 0;
  for (const auto& box : boxes) {
    if (boxes.size() > 1) progress.step(box.name);
    const UniqueFd mailbox = tree.open(box.address);
    if (!mailbox) continue;  // no mail has come yet
    options.limits = quotas.of(box.address);
    options.now = std::time(nullptr);
    const CheckedMailbox checked = check_mailbox(files, mailbox.get(), options);
    progress.clear();
    tell(app.output, box, checked);
    messages += checked.usage.messages;
    found += checked.findings.size() + checked.left_out;
    unmended += checked.unmended;
    result.push_back({{"address", box.name},
                      {"path", tree.path(box.address)},
                      {"bytes", checked.usage.bytes},
                      {"messages", checked.usage.messages},
                      {"findings", findings_of(checked)},
                      {"more_findings", checked.left_out}});
  }
  progress.clear();
  app.output.done(
      fmt::format("{} mailboxes with {} messages: {} findings, {} repaired.{}", result.size(), messages, found,
                  found - unmended, unmended > 0 && !repair ? " --repair mends what can be mended." : ""),
      result);
  return unmended == 0 ? 0 : 1;
}

int mailbox_usage(const App& app, const WhichMailboxes& which) {
  const auto connection = connect(app);
  Catalog catalog(*connection);
  const MailTree tree(app.settings);
  const Quotas quotas(*connection);
  const SystemClock clock;
  maildir::RealFiles files;
  maildir::UsageReader reader(files, clock);
  std::string why;
  const auto layout = maildir::Layout::parse(app.settings.mailboxes.path, why);
  const auto boxes = boxes_of(catalog, tree, which);
  Progress progress(boxes.size(), on_terminal() && !app.output.json());
  Json rows = Json::array();
  int status = 0;
  for (const auto& box : boxes) {
    progress.step(box.name);
    const auto path = layout->path(box.address);
    maildir::Fault fault;
    const auto usage = path ? reader.read(app.settings.mailboxes.base, *path, fault) : std::nullopt;
    const QuotaLimits limits = quotas.of(box.address).value_or(QuotaLimits());
    Json row = {{"address", box.name}};
    if (usage) {
      row["bytes"] = usage->bytes;
      row["messages"] = usage->messages;
      row["percent"] = percent(*usage, limits);
    } else {
      row["percent"] = nullptr;
      row["error"] = path ? fault.where + ": " + std::strerror(fault.error) : "no folder can have that name";
      progress.clear();
      app.output.note(fmt::format("{}: {}", printable(box.name), row["error"].get<std::string>()));
      status = 1;
    }
    row["quota_bytes"] = limit_or_null(limits.bytes);
    row["quota_messages"] = limit_or_null(limits.messages);
    rows.push_back(std::move(row));
  }
  progress.clear();
  app.output.table({{"address", "MAILBOX"},
                    {"bytes", "BYTES"},
                    {"messages", "MESSAGES"},
                    {"quota_bytes", "QUOTA"},
                    {"quota_messages", "MESSAGES"},
                    {"percent", "PERCENT"}},
                   rows);
  return status;
}

int mailbox_path(const App& app, const std::string& address) {
  const auto connection = connect(app);
  Catalog catalog(*connection);
  MailTree tree(app.settings);
  const Box box = boxes_of(catalog, tree, {address, "", false}).at(0);
  const std::string path = tree.path(box.address);
  app.output.done(path, {{"address", box.name}, {"path", path}, {"exists", tree.exists(box.address)}});
  return 0;
}

}  // namespace vmail::sql
