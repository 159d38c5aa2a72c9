// One connection of a Postfix process: requests in, replies out in their order, one question at a time. Postfix keeps
// hundreds of these open and idle; an idle one owns no buffer and is never closed by us (a client that finds its
// connection closed may defer its mail).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "shared/runtime/channel.h"
#include "shared/runtime/log.h"

namespace vmail {

// A request that has begun must be whole after this time.
inline constexpr std::chrono::seconds kRequestDeadline{30};

// `Protocol` has a `Decoder` (next(), request(), why(), in_request(), an Event of NeedMore, Request and Malformed), an
// `Answerer`, a `kName` for the log, and
//   static std::optional<Reply> ask(Answerer&, const Request&, MakeLater)
// that returns the reply at once, or calls what MakeLater() returns with it once, from the loop, never inside the call.
// A Reply has encode().
template <class Protocol>
class RequestSession final : public Session {
 public:
  using Answerer = typename Protocol::Answerer;
  using Reply = typename Protocol::Reply;

  // `answerer` is shared by all sessions and outlives them; `channel` owns this session.
  RequestSession(Channel& channel, Answerer& answerer) : channel_(channel), answerer_(answerer) {}

  void on_bytes(std::string_view bytes) override {
    if (asking_) {
      unread_ += bytes;  // bounded: the channel is paused, so this is at most what was on its way
    } else {
      work(bytes);
    }
  }
  void on_end_of_input() override {
    finishing_ = true;
    if (!asking_) channel_.close();
  }
  void on_drain() override { on_end_of_input(); }

 private:
  using Event = typename Protocol::Decoder::Event;

  void work(std::string_view input) {
    for (;;) {
      switch (decoder_.next(input)) {
        case Event::Request: {
          const auto reply = Protocol::ask(answerer_, decoder_.request(), [this] {
            return [weak = weak_from_this()](const Reply& answer) {
              if (const auto self = std::static_pointer_cast<RequestSession>(weak.lock())) self->answered(answer);
            };
          });
          if (!reply) {
            asking_ = true;
            unread_ = std::string(input);
            if (half_) channel_.clear_deadline();
            half_ = false;
            channel_.pause();
            return;
          }
          channel_.send(reply->encode());
          if (!channel_.is_open()) return;
          break;
        }

        case Event::NeedMore:
          if (finishing_) {
            channel_.close();
          } else if (decoder_.in_request() != half_) {
            half_ = !half_;
            // From its first byte on, however slowly the others drip.
            half_ ? channel_.set_deadline(kRequestDeadline, "half a request and then silence")
                  : channel_.clear_deadline();
          }
          return;

        case Event::Malformed:
          log::warning("{} peer={} result=closed: {}; is another protocol pointed at this socket?", Protocol::kName,
                       channel_.peer().address, decoder_.why());
          channel_.close();
          return;
      }
    }
  }

  void answered(const Reply& reply) {
    if (!channel_.is_open()) return;
    asking_ = false;
    channel_.send(reply.encode());
    const std::string input = std::exchange(unread_, std::string());
    work(input);
    if (!asking_) channel_.resume();
  }

  Channel& channel_;
  Answerer& answerer_;
  typename Protocol::Decoder decoder_;
  std::string unread_;      // came while a question was out
  bool asking_ = false;     // a question is out
  bool half_ = false;       // the deadline of a half request is running
  bool finishing_ = false;  // close when what has come is answered
};

}  // namespace vmail
