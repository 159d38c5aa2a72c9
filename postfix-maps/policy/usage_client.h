// How full mailboxes are, asked of vmail-lmtpd over its usage socket. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"
#include "shared/directory/directory.h"
#include "shared/runtime/loop.h"

namespace vmail::policy {

// What lies in a mailbox. One that no mail came to yet is empty: nothing, in no messages.
struct Used {
  std::uint64_t bytes = 0;
  std::uint64_t messages = 0;
};

// Whom the policy server asks; a seam for its tests.
class Usage {
 public:
  // One outcome for each mailbox, in the order asked: Found, or TempFail with a reason in words.
  using Done = MoveOnlyFunction<void(std::vector<Outcome<Used>>)>;

  virtual ~Usage() = default;
  // `done` is called once, from the loop, never inside this call, within a second.
  virtual void ask(std::vector<directory::Mailbox> mailboxes, Done done) = 0;
};

// Over one connection to the socket at `path`, made when there is something to ask and kept; after a failure it is made
// anew for the next question. What is more than 1000 questions at a time fails at once.
class UsageClient final : public Usage {
 public:
  UsageClient(Loop& loop, std::string path);
  ~UsageClient() override;  // what is still out is answered TempFail, inside the destructor

  void ask(std::vector<directory::Mailbox> mailboxes, Done done) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vmail::policy
