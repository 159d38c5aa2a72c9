// The logins that an administrator has locked on this host, whatever the database says and whether or not it can be
// asked: a stolen account is shut at once, and stays so through a crash of the daemon.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace vmail::directory {

// Loop thread only.
class DenyList {
 public:
  static constexpr std::size_t kMost = 10000;

  // Reads the list in a daemon's state folder; an empty folder is for tests, and nothing is kept. Throws config::Error
  // when there is a list that cannot be read: the daemon must not start and let them in.
  explicit DenyList(const std::string& folder);

  // By address_key(), so that every spelling is the same login.
  bool contains(std::string_view address) const;
  bool empty() const { return addresses_.empty(); }
  std::size_t size() const { return addresses_.size(); }

  // {"command": "lock" | "unlock", "address": A} and {"command": "locked"}: the reply, or nothing for another command.
  // A change is on the disk before the reply; this waits for the disk, which a command of an administrator is worth.
  std::optional<nlohmann::json> answer_control(const nlohmann::json& request);

 private:
  void write() const;

  const std::string path_;
  std::set<std::string, std::less<>> addresses_;
};

}  // namespace vmail::directory
