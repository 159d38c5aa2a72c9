// Policy requests over one connection: the frame is in request_session.h, what the replies are in decision.h.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "postfix-maps/policy/codec.h"
#include "postfix-maps/request_session.h"
#include "shared/base/move_only_function.h"

namespace vmail::policy {

// What Postfix is to do, as access(5) has it.
struct Reply {
  std::string action = "DUNNO";
  std::string encode() const { return policy::encode(action); }
  bool operator==(const Reply&) const = default;
};

using Later = MoveOnlyFunction<void(const Reply&)>;
// Who decides. A request is valid during the call only. Loop thread only.
class Answerer {
 public:
  virtual ~Answerer() = default;
  // At once, or by calling `later` once from the loop, never inside this call.
  virtual std::optional<Reply> ask(const Request& request, Later later) = 0;
};

struct Protocol {
  using Decoder = policy::Decoder;
  using Answerer = policy::Answerer;
  using Reply = policy::Reply;
  static constexpr const char* kName = "policy";
  template <class MakeLater>
  static std::optional<Reply> ask(Answerer& answerer, const Request& request, MakeLater make_later) {
    return answerer.ask(request, make_later());
  }
};
using PolicySession = RequestSession<Protocol>;

}  // namespace vmail::policy
