// What a login would come to, explained by the daemon that decides it.
#include <fmt/format.h>

#include "shared/base/networks.h"
#include "shared/base/text.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/prompt.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

constexpr std::chrono::seconds kPatience{15};  // a login takes up to 8 s

}  // namespace

int auth_test(const App& app, const std::string& user, const std::string& service, const std::string& from) {
  if (!from.empty() && !parse_ip(from)) {
    throw Refusal(fmt::format("'{}' is no IP address", printable(from)), "Such as 192.0.2.7 or 2001:db8::7.");
  }
  const Daemon daemon = daemons_of(app.settings, "auth").front();
  const Secret password = read_password(fmt::format("Password of {}: ", printable(user)));
  nlohmann::json request = {
      {"command", "auth-test"}, {"user", user}, {"password", password.text()}, {"service", service}, {"ip", from}};
  const Reply reply = ask(daemon, request, kPatience);
  wipe(request["password"].get_ref<std::string&>());
  if (reply.state != Reply::State::Answered) throw Refusal(fmt::format("{}: {}", daemon.program, reply.error), "");
  const bool good = reply.value.value("result", "") == "ok";
  for (const auto& line : reply.value.value("explanation", nlohmann::json::array())) {
    if (line.is_string()) app.output.text(printable(line.get<std::string>(), 1000));
  }
  app.output.text(fmt::format("{}: {}", good ? "It would be let in" : "It would be turned away",
                              printable(reply.value.value("reason", ""), 1000)));
  app.output.object(Json::parse(reply.value.dump()));
  return good ? 0 : 1;
}

}  // namespace vmail::sql
