// Asks Dovecot whether there is room in a mailbox whose usage only Dovecot knows (quota = count), by the policy
// protocol of its quota-status service. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"
#include "shared/runtime/loop.h"

namespace vmail::store {

class QuotaStatus {
 public:
  // Found: whether there is room. TempFail, with a reason in words, when Dovecot did not say.
  using Done = MoveOnlyFunction<void(Outcome<bool>)>;
  static constexpr std::size_t kMostQuestions = 200;
  static constexpr Duration kDeadline = std::chrono::seconds(2);

  // `path` is the socket of the service; `loop` outlives this.
  QuotaStatus(Loop& loop, std::string path);
  ~QuotaStatus();  // what is still out is answered TempFail, inside the destructor
  QuotaStatus(const QuotaStatus&) = delete;
  QuotaStatus& operator=(const QuotaStatus&) = delete;

  // `done` is called once, from the loop, never inside this call.
  void ask(const std::string& address, std::uint64_t size, Done done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// The reply of the service, whole. Pure.
Outcome<bool> parse_quota_status(std::string_view reply);

}  // namespace vmail::store
