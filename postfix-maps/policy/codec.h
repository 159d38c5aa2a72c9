// Postfix's policy delegation protocol (SMTPD_POLICY_README): a request is lines "name=value" and an empty line, a
// reply is "action=..." and an empty line. Names that are not known are passed over, as the protocol wants it.
//
// Pure: bytes in, events out. One thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vmail::policy {

// Postfix sends about 1 KB; addresses and certificates' names have limits of their own there.
inline constexpr std::size_t kMaxRequest = 65536;
inline constexpr std::size_t kMaxAction = 500;

// What a decision is made of. Of an attribute that comes twice the last counts; one that does not come is empty.
struct Request {
  std::string_view request;
  std::string_view state;  // protocol_state: RCPT, END-OF-MESSAGE, ...
  std::string_view instance;
  std::string_view queue_id;
  std::string_view sender;
  std::string_view recipient;
  std::string_view recipient_count;
  std::string_view size;
  std::string_view client_address;
  std::string_view sasl_username;
};

// Cuts a stream of bytes into requests.
class Decoder {
 public:
  enum class Event {
    NeedMore,   // all of `input` is used up
    Request,    // request() is valid until the next call, and as long as the bytes that were given
    Malformed,  // why() says what is wrong; nothing good can follow, the connection should be closed
  };

  // Takes what it can from the front of `input`. A request that is whole in `input` is not copied.
  Event next(std::string_view& input);
  const Request& request() const { return request_; }
  std::string_view why() const { return why_; }
  // Whether some bytes of a request have come, but not all.
  bool in_request() const { return !complete_ && !kept_.empty(); }

 private:
  Event malformed(const char* why);
  Event complete(std::string_view lines);

  std::string kept_;          // a request that came in pieces
  std::size_t checked_ = 0;   // bytes of its whole lines
  std::size_t searched_ = 0;  // bytes that hold no further line break
  bool complete_ = false;     // the last call returned a request
  bool broken_ = false;
  Request request_;
  const char* why_ = "";
};

// The reply as it goes over the wire. Line breaks and what is not UTF-8 would spoil it, and become '?'.
std::string encode(std::string_view action);

}  // namespace vmail::policy
