#include <fmt/format.h>
#include <sysexits.h>

#include <set>

#include "shared/base/text.h"
#include "shared/control/blocking.h"
#include "shared/socketmap/codec.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/postfix_check.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/run_program.h"

namespace vmail::sql {
namespace {

using MapReply = socketmap::Reply;

constexpr const char* kUnix = "unix:";
// A key that no map can know: RFC 2606 keeps that name free.
constexpr const char* kNoDomain = "vmailctl-check.invalid";

// The path of the socket on which vmail-mapd answers Postfix, as the daemon itself says. Throws Refusal.
std::string maps_socket(const App& app) {
  const auto reply = ask(daemons_of(app.settings, "maps").front(), {{"command", "status"}});
  if (reply.state != Reply::State::Answered) {
    throw Refusal(reply.error, reply.state == Reply::State::NotPermitted
                                   ? "Run vmailctl as root."
                                   : "vmail-mapd must run: systemctl status vmail-mapd.");
  }
  const auto sockets = reply.value.value("sockets", nlohmann::json::object()).value("maps", nlohmann::json::array());
  for (const auto& socket : sockets) {
    const auto text = socket.get<std::string>();
    if (text.starts_with(kUnix)) return text.substr(std::string_view(kUnix).size());
  }
  throw Refusal("vmail-mapd has no UNIX socket for Postfix", "Over TCP ask with postmap -q.");
}

// One look-up as Postfix does it. Throws Refusal when there is no answer at all.
MapReply look_up(const App& app, const std::string& path, const std::string& map, const std::string& key) {
  try {
    control::BlockingSocket socket(path, app.settings.database.deadline + std::chrono::seconds(5));
    socket.send(socketmap::encode_request(map, key));
    socketmap::Decoder decoder(socketmap::kMaxPayload);
    for (;;) {
      const std::string bytes = socket.receive();
      std::string_view input = bytes;
      const auto event = decoder.next(input);
      if (event == socketmap::Decoder::Event::NeedMore) continue;
      if (event == socketmap::Decoder::Event::Request) {
        if (auto reply = MapReply::read(decoder.request())) return std::move(*reply);
      }
      throw Refusal(path + ": what answers there does not speak socketmap", "Which program listens there?");
    }
  } catch (const control::NotPermitted& error) {
    throw Refusal(error.what(), "Run vmailctl as root.");
  } catch (const control::Error& error) {
    throw Refusal(error.what(), "");
  }
}

}  // namespace

int map_get(const App& app, const std::string& map, const std::string& key) {
  if (map.empty() || map.find(' ') != std::string::npos) {
    throw Refusal("the name of a map has no blank", "Example: vmailctl map get aliases team@example.org");
  }
  if (map.size() + 1 + key.size() > socketmap::kMaxPayload)
    throw Refusal("the key is longer than a request may be", "");
  const MapReply reply = look_up(app, maps_socket(app), map, key);
  const bool found = reply.kind() == MapReply::Kind::Ok;
  Json object = {{"map", map}, {"key", key}, {"result", std::string(socketmap::word(reply.kind()))}};
  if (found || reply.kind() == MapReply::Kind::NotFound) {
    if (found) object["value"] = reply.text();
    app.output.object(object);
    if (found) app.output.text(reply.text());
    return found ? 0 : 1;
  }
  object["reason"] = reply.text();
  app.output.object(object);
  const bool temporary = reply.kind() == MapReply::Kind::Temp;
  app.output.note(fmt::format("{}: {}; Postfix would answer 451", socketmap::word(reply.kind()), reply.text()));
  return temporary ? EX_TEMPFAIL : EX_CONFIG;
}

int check_postfix(const App& app) {
  const Ran postconf = run_program({"postconf", "-x"});
  if (postconf.status != 0) {
    throw Refusal("postconf failed: " + printable(trim(postconf.errors)), "It must be able to read main.cf.");
  }
  const Parameters parameters = read_parameters(postconf.output);
  const std::string socket = maps_socket(app);
  const auto maps = maps_on(parameters, socket);
  auto findings = judge_postfix(parameters, app.settings, maps);
  if (maps.empty()) {
    findings.push_back({Level::Warning, "main.cf names no map on the socket " + socket + ", where vmail-mapd answers"});
  }
  std::set<std::string> asked;
  for (const auto& named : maps) {
    if (!asked.insert(named.map).second) continue;
    const MapReply reply = look_up(app, socket, named.map, kNoDomain);
    if (reply.kind() != MapReply::Kind::Perm) continue;
    findings.push_back({Level::Critical, fmt::format("{} in main.cf: {}", named.parameter, reply.text())});
  }

  Json rows = Json::array();
  for (const auto& finding : findings) {
    rows.push_back({{"level", level_name(finding.level)}, {"text", finding.text}});
  }
  app.output.object({{"agrees", findings.empty()}, {"maps", asked.size()}, {"findings", rows}});
  for (const auto& finding : findings) app.output.text(fmt::format("{}: {}", level_name(finding.level), finding.text));
  if (findings.empty()) {
    app.output.text(fmt::format("main.cf and vmailkit.toml agree; main.cf names {} maps of vmail-mapd.", asked.size()));
  }
  return findings.empty() ? 0 : 1;
}

}  // namespace vmail::sql
