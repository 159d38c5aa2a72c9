#include "postfix-maps/socketmap/session.h"

#include "shared/runtime/log.h"

namespace vmail::socketmap {

void SocketmapSession::on_bytes(std::string_view bytes) {
  if (asking_) {
    unread_ += bytes;  // bounded: the channel is paused, so this is at most what was on its way
  } else {
    work(bytes);
  }
}

void SocketmapSession::work(std::string_view input) {
  for (;;) {
    switch (decoder_.next(input)) {
      case Decoder::Event::Request: {
        auto reply = answerer_.recall(decoder_.request());
        if (!reply) {
          reply = answerer_.ask(decoder_.request(), [weak = weak_from_this()](const Reply& answer) {
            if (const auto self = std::static_pointer_cast<SocketmapSession>(weak.lock())) self->answered(answer);
          });
        }
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

      case Decoder::Event::NeedMore:
        if (finishing_) {
          channel_.close();
        } else if (decoder_.in_request() != half_) {
          half_ = !half_;
          // From its first byte on, however slowly the others drip.
          half_ ? channel_.set_deadline(kRequestDeadline, "half a request and then silence")
                : channel_.clear_deadline();
        }
        return;

      case Decoder::Event::Malformed:
        log::warning("socketmap peer={} result=closed: {}; is another protocol pointed at this socket?",
                     channel_.peer().address, decoder_.why());
        channel_.close();
        return;
    }
  }
}

void SocketmapSession::answered(const Reply& reply) {
  if (!channel_.is_open()) return;
  asking_ = false;
  channel_.send(reply.encode());
  const std::string input = std::exchange(unread_, std::string());
  work(input);
  if (!asking_) channel_.resume();
}

void SocketmapSession::on_end_of_input() {
  finishing_ = true;
  if (!asking_) channel_.close();
}

void SocketmapSession::on_drain() {
  on_end_of_input();
}

}  // namespace vmail::socketmap
