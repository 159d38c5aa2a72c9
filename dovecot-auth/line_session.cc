#include "dovecot-auth/line_session.h"

#include <string.h>

#include <string>

#include "shared/runtime/log.h"

namespace vmail::auth {
namespace {

constexpr auto kLineDeadline = std::chrono::seconds(10);

}  // namespace

void LineSession::on_bytes(std::string_view bytes) {
  lines_.feed(bytes);
  proceed();
}

void LineSession::on_end_of_input() {
  on_drain();
}

void LineSession::on_drain() {
  ending_ = true;
  if (!busy_) channel_.close();
}

void LineSession::begin() {
  busy_ = true;
  channel_.pause();
}

void LineSession::answer(std::string_view last_bytes) {
  channel_.send(last_bytes);
  busy_ = false;
  if (ending_) return channel_.close();
  channel_.resume();
}

void LineSession::proceed() {
  while (!busy_ && channel_.is_open()) {
    std::span<char> line;
    switch (lines_.next(line)) {
      case LineBuffer::State::NeedMore:
        if (lines_.empty()) return channel_.clear_deadline();
        return channel_.set_deadline(kLineDeadline, "it did not send the rest of its request");
      case LineBuffer::State::TooLong:
        say_too_long();
        return refuse("a request of more than " + std::to_string(max_line_) + " bytes");
      case LineBuffer::State::Line:
        channel_.clear_deadline();
        handle(line);
        explicit_bzero(line.data(), line.size());
    }
  }
}

void LineSession::refuse(std::string_view why) {
  log::warning("{}: {}: closed: {}", protocol_, channel_.peer().address, why);
  channel_.close();
}

}  // namespace vmail::auth
