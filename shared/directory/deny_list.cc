#include "shared/directory/deny_list.h"

#include <nlohmann/json.hpp>

#include "shared/base/address.h"
#include "shared/base/state_file.h"
#include "shared/base/text.h"
#include "shared/config/config.h"
#include "shared/directory/idn.h"
#include "shared/runtime/log.h"

namespace vmail::directory {
namespace {

constexpr std::string_view kHead = "# Logins that are locked on this host: vmailctl user unlock takes them off.";

}  // namespace

DenyList::DenyList(const std::string& folder) : path_(folder.empty() ? "" : folder + "/locked-logins") {
  if (path_.empty()) return;
  try {
    const auto text = read_state(path_, kMost * (kMaxAddress * 2 + 1) + kHead.size() + 1);
    if (!text) return;
    for (const auto& line : split(*text, '\n')) {
      if (line.empty() || line == kHead) continue;
      const std::string key = address_key(line);
      if (key.empty()) {
        log::error("{}: \"{}\" is no address, and is passed over", path_, printable(line));
      } else {
        addresses_.insert(key);
      }
    }
  } catch (const StateFileError& error) {
    throw config::Error(std::string(error.what()) + ": mend or remove it; it says which logins are locked");
  }
}

bool DenyList::contains(std::string_view address) const {
  return !addresses_.empty() && addresses_.count(address_key(address)) > 0;
}

std::optional<nlohmann::json> DenyList::answer_control(const nlohmann::json& request) {
  const auto command = request.value("command", "");
  if (command == "locked") return nlohmann::json{{"locked", addresses_}};
  if (command != "lock" && command != "unlock") return std::nullopt;

  const bool lock = command == "lock";
  const auto address = request.at("address").get<std::string>();
  const std::string key = address_key(address);
  if (key.empty() || key.front() == '@') {
    return nlohmann::json{{"error", "\"" + printable(address) + "\" is no address of a login"}};
  }
  const bool was_locked = addresses_.count(key) > 0;
  if (lock && !was_locked && addresses_.size() >= kMost) {
    return nlohmann::json{{"error", "there are " + std::to_string(kMost) + " locked logins already"}};
  }
  if (lock != was_locked) {
    // In memory first: should the disk fail, a lock holds at least until the daemon ends.
    lock ? void(addresses_.insert(key)) : void(addresses_.erase(key));
    try {
      write();
    } catch (const StateFileError& error) {
      if (!lock) addresses_.insert(key);
      log::error("lock-failed: {}", error.what());
      return nlohmann::json{{"error", std::string(error.what()) +
                                          (lock ? ": the lock ends with this process" : ": the login stays locked")}};
    }
    log::warning("lock user={}: {}", key, lock ? "locked" : "unlocked");
  }
  return nlohmann::json{{"ok", true}, {"was_locked", was_locked}};
}

void DenyList::write() const {
  if (path_.empty()) return;
  std::string text(kHead);
  text += '\n';
  for (const auto& address : addresses_) text.append(address).append("\n");
  write_state(path_, text);
}

}  // namespace vmail::directory
