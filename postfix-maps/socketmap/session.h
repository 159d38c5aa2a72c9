// Look-ups over one connection: the frame is in request_session.h.
#pragma once

#include <optional>
#include <utility>

#include "postfix-maps/request_session.h"
#include "shared/base/move_only_function.h"
#include "shared/socketmap/codec.h"

namespace vmail::socketmap {

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

struct Protocol {
  using Decoder = socketmap::Decoder;
  using Answerer = socketmap::Answerer;
  using Reply = socketmap::Reply;
  static constexpr const char* kName = "socketmap";
  // What is known already costs no memory, not even that of a call that might come later.
  template <class MakeLater>
  static std::optional<Reply> ask(Answerer& answerer, const Request& request, MakeLater make_later) {
    auto reply = answerer.recall(request);
    return reply ? std::move(reply) : answerer.ask(request, make_later());
  }
};
using SocketmapSession = RequestSession<Protocol>;

}  // namespace vmail::socketmap
