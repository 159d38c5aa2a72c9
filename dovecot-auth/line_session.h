// A connection on which one thing is asked at a time, in lines, each answered before the next is read: what the verify
// and the master protocol have in common.
#pragma once

#include <span>
#include <string_view>

#include "dovecot-auth/wire/line_buffer.h"
#include "shared/runtime/channel.h"

namespace vmail::auth {

// Loop thread only.
class LineSession : public Session {
 public:
  void on_bytes(std::string_view bytes) override;
  void on_end_of_input() override;
  void on_drain() override;

 protected:
  // `protocol` names it in the log, and lives as long as the program.
  LineSession(Channel& channel, std::size_t max_line, const char* protocol)
      : channel_(channel), protocol_(protocol), max_line_(max_line), lines_(max_line) {}

  // A request, without its LF; wiped afterwards. It is begun, and then answered: inside this call, or later from the
  // loop, with proceed() behind it.
  virtual void handle(std::span<char> line) = 0;
  // Said before the connection is closed, because a request is too long.
  virtual void say_too_long() {}

  void begin();
  void answer(std::string_view last_bytes);
  void proceed();
  // Nothing good can follow. `why` holds nothing that the peer sent.
  void refuse(std::string_view why);

  Channel& channel_;

 private:
  const char* const protocol_;
  const std::size_t max_line_;
  LineBuffer lines_;
  bool busy_ = false;    // a request is unanswered
  bool ending_ = false;  // close when it is answered
};

}  // namespace vmail::auth
