#include "postfix-maps/policy/service.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/text.h"
#include "shared/directory/sql_usage_journal.h"

namespace vmail::policy {
namespace {

Limits::Settings limits_settings(const config::Settings& settings) {
  return {at_limit(settings.policy), settings.policy.hold_messages, settings.database.deadline};
}

std::unique_ptr<Usage> usage_of(Loop& loop, const config::Settings& settings) {
  if (settings.store.usage.empty()) return nullptr;
  return std::make_unique<UsageClient>(loop, settings.store.usage);
}

}  // namespace

PolicyService::PolicyService(Loop& loop, const Clock& clock, const config::Settings& settings,
                             directory::Directory& directory, std::unique_ptr<directory::UsageJournal> journal)
    : settings_(settings.policy),
      locked_(settings.maps.state),
      notifier_(loop, clock, settings.policy.notify_smtp, directory::host_name()),
      usage_(usage_of(loop, settings)),
      limits_(loop, clock, std::move(journal), directory::host_name(), limits_settings(settings)),
      policy_(clock, directory, locked_, limits_, usage_.get(), settings.policy,
              [this](const LimitReached& reached) { tell(reached); }) {}

daemon::Endpoint PolicyService::endpoint() {
  daemon::Endpoint endpoint;
  endpoint.name = "policy";
  endpoint.listen = settings_.listen;
  endpoint.networks = settings_.networks;
  endpoint.max_connections = settings_.max_connections;
  endpoint.open = [this](Channel& channel) { return std::make_shared<PolicySession>(channel, policy_); };
  return endpoint;
}

std::optional<nlohmann::json> PolicyService::answer_control(const nlohmann::json& request) {
  return locked_.answer_control(request);
}

void PolicyService::reload(const config::Settings& settings) {
  limits_.set(limits_settings(settings));
  policy_.reload(settings.policy);
  settings_.notify = settings.policy.notify;
  settings_.notify_user = settings.policy.notify_user;
}

void PolicyService::tell(const LimitReached& reached) {
  constexpr const char* kSubject = "A login has reached its sending limit";
  const std::string login = printable(reached.login);
  const std::string amount =
      fmt::format("The login {} has reached its limit \"{}\": {} with the last message.\nThat message was {}.\n\n",
                  login, reached.limit, reached.used, reached.action);
  notifier_.send(
      settings_.notify, kSubject,
      amount + fmt::format("If its owner did not send all that, somebody else knows the password: change it\n"
                           "(vmailctl user passwd) or switch the login off (vmailctl user disable). Then:\n\n"
                           "  vmailctl limits show {0}\n"
                           "  vmailctl limits release {0}    lets held messages go\n"
                           "  vmailctl limits discard {0}    deletes them\n",
                           login));
  if (!settings_.notify_user) return;
  notifier_.send({reached.login}, kSubject,
                 amount +
                     "If you did not send all that, somebody else knows your password: change it, and tell your\n"
                     "administrator.\n");
}

void PolicyService::metrics(metrics::Registry& registry) {
  policy_.metrics(registry);
  registry.collect([this](metrics::Samples& samples) {
    samples.gauge("vmailkit_policy_counters", "Counters of the limits that are in memory.",
                  static_cast<double>(limits_.counters()));
    samples.gauge("vmailkit_policy_shared", "Whether they are shared with other hosts.", limits_.shared() ? 1 : 0);
  });
}

void PolicyService::stop() {
  notifier_.stop();
  usage_.reset();
  limits_.stop();
}

}  // namespace vmail::policy
