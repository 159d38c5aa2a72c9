#include "sql/vmailctl/dovecot.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/run_program.h"

namespace vmail::sql {
namespace {

constexpr std::chrono::seconds kPatience{10};
// "Not found" (doveadm's DOVEADM_EX_NOTFOUND): a login without sessions has none to end.
constexpr int kNotFound = 68;

// Nothing: there is no Dovecot to tell. Otherwise why it failed, or an empty text.
std::optional<std::string> doveadm(std::vector<std::string> arguments) {
  if (!has_program("doveadm")) return std::nullopt;
  arguments.insert(arguments.begin(), "doveadm");
  try {
    const Ran ran = run_program(arguments, kPatience);
    // Its sockets are not there, or nobody listens on them.
    for (const char* absent : {"No such file or directory", "Connection refused"}) {
      if (ran.errors.find(absent) != std::string::npos) return std::nullopt;
    }
    // `doveadm auth cache flush` (2.3.19) ends with 0 whatever has happened.
    if (ran.errors.find("Error: ") != std::string::npos || ran.errors.find("Fatal: ") != std::string::npos) {
      return ran.complaint();
    }
    return ran.status == 0 || ran.status == kNotFound ? "" : fmt::format("it ended with status {}", ran.status);
  } catch (const Refusal& error) {
    return error.what();
  }
}

// Of all logins when there are none.
void flush_dovecot(const App& app, const std::vector<std::string>& logins) {
  std::vector<std::string> arguments = {"auth", "cache", "flush", "--"};
  arguments.insert(arguments.end(), logins.begin(), logins.end());
  const auto failure = doveadm(std::move(arguments));
  if (failure && !failure->empty()) {
    app.output.note("Dovecot's cache of logins was not told (doveadm auth cache flush): " + *failure);
  }
}

}  // namespace

void tell_of_logins(const App& app, const std::vector<std::string>& keys) {
  tell_daemons(app, keys);
  const bool whole = std::any_of(keys.begin(), keys.end(), [](const auto& key) { return key.front() == '@'; });
  flush_dovecot(app, whole ? std::vector<std::string>{} : keys);
}

Kicked kick_sessions(const std::string& login) {
  // doveadm takes a mask, which would end the sessions of others.
  if (login.find_first_of("*?") != std::string::npos) return {false, "doveadm kick takes this address for a pattern"};
  const auto failure = doveadm({"kick", "--", login});
  if (!failure) return {true, "Dovecot does not run here: there are no sessions to end"};
  if (!failure->empty()) return {false, "doveadm kick: " + *failure};
  return {true, "its IMAP and POP3 sessions are ended"};
}

}  // namespace vmail::sql
