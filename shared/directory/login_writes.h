// What is written about logins, behind the answers to them: when app passwords were used, and hashes and SCRAM keys
// that were made at a login. Nothing waits for it, and nothing of it is tried again.
//
// Loop thread only. Owned by a shared_ptr: what the database calls holds it weakly.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/seeded_hash.h"
#include "shared/directory/database.h"
#include "shared/runtime/loop.h"

namespace vmail::directory {

class LoginWrites : public std::enable_shared_from_this<LoginWrites> {
 public:
  // The row of that login is not what it was, or what it was taken for.
  using Changed = MoveOnlyFunction<void(const std::string& address)>;

  // All but `changed` outlive it.
  LoginWrites(Loop& loop, const Clock& clock, Database& database, Duration deadline, Changed changed);
  void set_deadline(Duration deadline) { deadline_ = deadline; }

  void note_use(std::uint64_t app_password, std::string ip);
  void change(LoginChange change);
  // What has not gone out is dropped.
  void stop();

 private:
  void flush();

  Loop& loop_;
  const Clock& clock_;
  Database& database_;
  Duration deadline_;
  Changed changed_;
  Timer timer_;
  std::vector<AppPasswordUse> uses_;                       // to go out next
  std::unordered_map<std::uint64_t, Instant> noted_;       // when; of the last minute
  std::unordered_set<std::string, SeededHash> under_way_;  // addresses
  Instant resume_{};                                       // after a failure no change is tried before that
  bool stopped_ = false;
};

}  // namespace vmail::directory
