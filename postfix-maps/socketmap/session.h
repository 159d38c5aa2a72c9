// One connection of a Postfix process: requests in, replies out in their order, one question at a time. Postfix keeps
// hundreds of these open and idle; an idle one owns no buffer and is never closed by us (a client that finds its
// connection closed may answer its mail with 451).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/socketmap/codec.h"
#include "shared/base/move_only_function.h"
#include "shared/runtime/channel.h"

namespace vmail::socketmap {

// A request that has begun must be whole after this time.
inline constexpr std::chrono::seconds kRequestDeadline{30};

using Later = MoveOnlyFunction<void(const Reply&)>;
// Who answers. A request is valid during the call only. Loop thread only.
class Answerer {
 public:
  virtual ~Answerer() = default;
  // What is known already, or nothing.
  virtual std::optional<Reply> recall(const Request& request) = 0;
  // What recall() did not know: now after all, or by calling `later` once from the loop, never inside this call.
  virtual std::optional<Reply> ask(const Request& request, Later later) = 0;
};

class SocketmapSession final : public Session {
 public:
  // `answerer` is shared by all sessions and outlives them; `channel` owns this session.
  SocketmapSession(Channel& channel, Answerer& answerer) : channel_(channel), answerer_(answerer) {}

  void on_bytes(std::string_view bytes) override;
  void on_end_of_input() override;
  void on_drain() override;

 private:
  void work(std::string_view input);
  void answered(const Reply& reply);

  Channel& channel_;
  Answerer& answerer_;
  Decoder decoder_;
  std::string unread_;      // came while a question was out
  bool asking_ = false;     // a question is out
  bool half_ = false;       // the deadline of a half request is running
  bool finishing_ = false;  // close when what has come is answered
};

}  // namespace vmail::socketmap
