#include "shared/directory/login_writes.h"

#include <cassert>
#include <chrono>
#include <utility>

namespace vmail::directory {
namespace {

constexpr Duration kGather = std::chrono::seconds(1);
constexpr Duration kUseInterval = std::chrono::minutes(1);  // of one app password
constexpr std::size_t kMostUses = 500;                      // in one statement's transaction; more are left out
constexpr std::size_t kMostChanges = 20;                    // under way
constexpr Duration kPause = std::chrono::seconds(10);

}  // namespace

LoginWrites::LoginWrites(Loop& loop, const Clock& clock, Database& database, Duration deadline, Changed changed)
    : loop_(loop),
      clock_(clock),
      database_(database),
      deadline_(deadline),
      changed_(std::move(changed)),
      timer_(loop) {}

void LoginWrites::note_use(std::uint64_t app_password, std::string ip) {
  assert(loop_.on_loop());
  if (stopped_ || uses_.size() == kMostUses) return;
  const Instant now = clock_.now();
  const auto [noted, first] = noted_.try_emplace(app_password, now);
  if (!first && now - noted->second < kUseInterval) return;
  noted->second = now;
  const auto since_1970 = std::chrono::duration_cast<std::chrono::seconds>(clock_.wall().time_since_epoch());
  uses_.push_back({app_password, std::move(ip), since_1970.count()});
  if (uses_.size() > 1) return;
  timer_.start(kGather, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->flush();
  });
}

void LoginWrites::flush() {
  const Instant now = clock_.now();
  std::erase_if(noted_, [&](const auto& entry) { return now - entry.second >= kUseInterval; });
  database_.note_uses(std::exchange(uses_, {}), now + deadline_, [](const Outcome<bool>&) {});
}

void LoginWrites::change(LoginChange change) {
  assert(loop_.on_loop());
  const Instant now = clock_.now();
  if (stopped_ || now < resume_ || under_way_.size() == kMostChanges) return;
  const std::string address = change.address;
  if (!under_way_.insert(address).second) return;
  database_.change_login(std::move(change), now + deadline_,
                         [weak = weak_from_this(), address](const Outcome<bool>& changed) {
                           const auto self = weak.lock();
                           if (!self || self->stopped_) return;
                           self->under_way_.erase(address);
                           if (changed.is_found()) {
                             self->changed_(address);
                           } else {
                             self->resume_ = self->clock_.now() + kPause;
                           }
                         });
}

void LoginWrites::stop() {
  stopped_ = true;
  timer_.cancel();
}

}  // namespace vmail::directory
