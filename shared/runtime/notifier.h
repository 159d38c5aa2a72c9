// Tells administrators and users what a daemon has done or seen, by mail: over SMTP to the local Postfix, since no
// program is run here. Loop thread only.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/runtime/loop.h"

namespace vmail {

class Notifier {
 public:
  static constexpr std::size_t kMaxWaiting = 100;

  // `smtp` is ADDRESS:PORT; `loop` and `clock` outlive this.
  Notifier(Loop& loop, const Clock& clock, std::string smtp, std::string host);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // One mail at a time goes out; one that is not taken is tried again for an hour, and what is too much is dropped.
  // Both are logged. Of the addresses only those count that SMTP takes as they are. `text` has lines that end in '\n'.
  void send(const std::vector<std::string>& to, const std::string& subject, const std::string& text);
  std::size_t waiting() const { return waiting_.size(); }
  // No more is sent.
  void stop();

 private:
  struct Mail {
    std::vector<std::string> to;
    std::string data;  // header, empty line, body: with CRLF, and dots doubled
    Instant until;
  };
  class Conversation;

  void next();
  void ended(const std::string& failure);

  Loop& loop_;
  const Clock& clock_;
  const std::string smtp_, host_;
  std::deque<Mail> waiting_;
  std::shared_ptr<Conversation> conversation_;
  Timer again_;
  bool stopped_ = false;
};

}  // namespace vmail
