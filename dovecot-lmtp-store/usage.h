// The usage socket: how full mailboxes are, told to vmail-mapd, which may not enter the Maildirs itself. Frames of JSON
// as on the control sockets (shared/control), any number of them on a connection, each answered before the next:
//
//   {"mailboxes": [{"local": "anna", "domain": "example.org"}, ...]}
//   {"mailboxes": [{"bytes": 1234, "messages": 5}, {"error": "why it is not known"}, ...]}
//
// A request that makes no sense is answered {"error": "..."}.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/address.h"
#include "shared/control/control.h"
#include "shared/maildir/mailbox_usage.h"
#include "shared/maildir/path.h"
#include "shared/runtime/channel.h"
#include "shared/runtime/log.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/worker_pool.h"

namespace vmail::store {

// Answers requests on the disk threads. Loop thread only; it and what it is given outlive the jobs of the pool.
class Usages {
 public:
  using Done = MoveOnlyFunction<void(nlohmann::json reply)>;
  // In one request: as many as Postfix follows of an alias.
  static constexpr std::size_t kMostMailboxes = 1000;

  // `base` is the folder of all Maildirs.
  Usages(Loop& loop, WorkerPool& disk, maildir::UsageReader& reader, std::string base, maildir::Layout layout);

  // `done` is called once, from the loop, never inside this call.
  void answer(const nlohmann::json& request, Done done);
  void reload(maildir::Layout layout) { layout_ = std::move(layout); }

 private:
  struct Read {
    maildir::Usage usage;
    std::string error;  // why it could not be read; empty: it was
  };

  // On a worker. `path`: nothing for an address that can have no mailbox.
  static Read read(maildir::UsageReader& reader, const std::string& base, const std::optional<std::string>& path);
  nlohmann::json reply(const std::vector<Read>& results);

  Loop& loop_;
  WorkerPool& disk_;
  maildir::UsageReader& reader_;
  const std::string base_;
  maildir::Layout layout_;
  log::Throttle log_;
};

// One connection. Loop thread only.
class UsageSession final : public Session {
 public:
  // `channel` owns the session; `usages` outlives it.
  UsageSession(Channel& channel, Usages& usages);

  void on_bytes(std::string_view bytes) override;
  void on_end_of_input() override { end(); }
  void on_drain() override { end(); }

 private:
  void go_on();
  void end();

  Channel& channel_;
  Usages& usages_;
  control::Decoder decoder_;
  bool busy_ = false;    // a request is being answered; no input is taken
  bool ending_ = false;  // close when it has been
};

}  // namespace vmail::store
