// What happens to a message when its sender has sent much: counts what passes, and says when a limit is reached.
//
// Counters are shared with other hosts through the journal: written and read about once a second; before the answer
// when a limit is near, or when the others cannot know yet of a good part of it. While the journal cannot be asked they
// go on in memory, and are merged later.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "postfix-maps/policy/counters.h"
#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/config/limit.h"
#include "shared/runtime/log.h"
#include "shared/runtime/loop.h"

namespace vmail::policy {

// A message at its end.
struct Sent {
  std::string login;   // "u@d", as key
  std::string client;  // its IP address
  std::string queue_id;
  std::uint64_t recipients = 0;
  std::uint64_t bytes = 0;
  std::vector<std::uint64_t> distinct;  // hashes of the recipients, each once
  std::vector<config::Limit> limits;    // those that hold for this login
};

struct Verdict {
  enum class What : unsigned char { Within, Warn, Hold, Defer, Reject };
  What what = What::Within;
  config::Limit limit;    // that is reached
  std::int64_t used = 0;  // with this message
  bool first = false;     // nobody has been told about this login and limit in its window
};

// The client's network: /24 of IPv4, /64 of IPv6; empty when it is no address.
std::string network_of(std::string_view address);

// Loop thread only.
class Limits {
 public:
  struct Settings {
    Verdict::What at_limit = Verdict::What::Hold;
    std::uint64_t hold_messages = 0;  // of a login in a day
    Duration deadline{};              // of a question to the journal
  };
  // `loop` and `clock` outlive this. Without a journal all of it stays in memory. `host` is where messages are held.
  Limits(Loop& loop, const Clock& clock, std::unique_ptr<directory::UsageJournal> journal, std::string host,
         Settings settings);
  ~Limits();
  Limits(const Limits&) = delete;
  Limits& operator=(const Limits&) = delete;

  // Counts the message when it passes. At once, or by calling `later` once from the loop, never inside this call.
  std::optional<Verdict> count(Sent sent, MoveOnlyFunction<void(const Verdict&)> later);
  void set(Settings settings) { settings_ = settings; }
  // Whether the journal could be asked last; counters for metrics.
  bool shared() const { return failure_.empty(); }
  std::size_t counters() const { return counters_.size(); }
  // Outstanding questions are decided by what is in memory, inside this call. What was counted in the last second, and
  // is not written yet, is lost.
  void stop();

 private:
  struct Counted {
    const config::Limit* limit;
    UsageCounter counter;
    std::int64_t add;
  };
  std::vector<Counted> counted(const Sent& sent, std::int64_t now) const;
  bool must_ask(const std::vector<Counted>& counted, std::int64_t now) const;
  Verdict decide(const Sent& sent);
  Verdict reached(const Sent& sent, const Counted& which, std::int64_t now);
  void ask(directory::UsageQuestion question, MoveOnlyFunction<void()> then);
  void asked(const std::string* failure);
  void flush();
  void write_counters();
  void flush_after(Duration time);
  void sweep();
  std::int64_t unix_time() const;

  const Clock& clock_;
  const std::unique_ptr<directory::UsageJournal> journal_;
  const std::string host_;
  Settings settings_;
  Counters counters_;
  std::unordered_map<std::string, std::int64_t, SeededHash> told_;  // login and limit, until when
  std::vector<directory::HeldMessage> held_;                        // not written down yet
  std::string failure_;                                             // of the journal's last answer, or empty
  Instant ask_again_{};                                             // after a failure
  bool flushing_ = false;
  bool due_ = false;  // the timer runs
  bool stopped_ = false;
  Timer timer_;
  Timer sweeper_;
  log::Throttle full_log_;
};

}  // namespace vmail::policy
