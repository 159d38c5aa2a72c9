#include "dovecot-auth/access.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "shared/base/networks.h"
#include "shared/base/text.h"
#include "shared/password/app_password.h"

namespace vmail::auth {
std::string service_name(std::string_view service) {
  std::string name = fold_case(service);
  if (name == "managesieve") return "sieve";
  if (name == "submission" || name == "smtpd") return "smtp";
  if (name == "pop") return "pop3";
  return name;
}

std::optional<Denial> why_no_password(const Secret& stored, bool by_keys) {
  const bool shut = stored.view().starts_with('!') || stored.view().starts_with('*');
  if (!shut && (by_keys || !stored.empty())) return std::nullopt;
  return Denial{Cause::WrongPassword, "the account has no password"};
}

std::optional<Denial> why_denied(const directory::Access& access, std::string_view service, std::string_view remote_ip,
                                 WallTime now, std::string_view who) {
  const std::string subject(who);
  const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  if (access.not_before > seconds) return Denial{Cause::NotYet, subject + " may not be used yet"};
  if (access.not_after != 0 && seconds >= access.not_after) return Denial{Cause::Expired, subject + " has expired"};

  const auto services = words(access.services);
  if (!services.empty() && std::find(services.begin(), services.end(), service_name(service)) == services.end()) {
    const std::string name = service.empty() ? "a service without a name" : printable(service, 40);
    return Denial{Cause::Service, subject + " may not be used for " + name};
  }

  const auto networks = words(access.networks);
  if (networks.empty()) return std::nullopt;
  try {
    const auto ip = parse_ip(remote_ip);
    if (ip && Networks(networks).contains(*ip)) return std::nullopt;
  } catch (const std::invalid_argument& error) {
    return Denial{Cause::BadData, "its networks in the database cannot be read: " + std::string(error.what())};
  }
  return Denial{Cause::Network, subject + " may not be used from " +
                                    (remote_ip.empty() ? "an unknown address" : printable(remote_ip, 60))};
}

const directory::AppPassword* find_app_password(const directory::Credentials& credentials, const Secret& password) {
  if (credentials.app_passwords.empty()) return nullptr;
  const auto selector = password::selector_of(password.view());
  if (selector.empty()) return nullptr;
  const auto at = std::find_if(credentials.app_passwords.begin(), credentials.app_passwords.end(),
                               [&](const auto& each) { return each.selector == selector; });
  return at == credentials.app_passwords.end() ? nullptr : &*at;
}

}  // namespace vmail::auth
