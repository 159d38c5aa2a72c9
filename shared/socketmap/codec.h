// The socketmap protocol of Postfix and Sendmail (socketmap_table(5)): requests "MAP KEY" and replies "OK DATA",
// "NOTFOUND ", "TEMP REASON", "PERM REASON", each as a netstring (https://cr.yp.to/proto/netstrings.txt). Both sides of
// it: vmail-mapd answers, vmailctl asks as Postfix does.
//
// Pure: bytes in, events out. One thread at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace vmail::socketmap {

// Both directions; Postfix refuses a longer reply (socketmap_table(5), "PROTOCOL").
inline constexpr std::size_t kMaxPayload = 100000;
// Of a request; what is longer can name nothing, and is skipped, not stored.
inline constexpr std::size_t kMaxKept = 2048;
inline constexpr std::size_t kMaxReason = 200;  // Postfix logs no more

struct Request {
  std::string_view map;
  std::string_view key;    // may be empty and may hold blanks and any other byte
  bool has_space = true;   // false: there was no blank, and all of it is in `map`
  bool oversized = false;  // only the first bytes are here
};

// As it goes over the wire.
std::string encode_request(std::string_view map, std::string_view key);

// Cuts a stream of bytes into requests. Replies have the same form: their first word is in `map`, the rest in `key`
// (Reply::read()).
class Decoder {
 public:
  // `kept`: bytes of a payload that are stored.
  explicit Decoder(std::size_t kept = kMaxKept) : limit_(kept) {}

  enum class Event {
    NeedMore,   // all of `input` is used up
    Request,    // request() is valid until the next call, and as long as the bytes that were given
    Malformed,  // why() says what is wrong; nothing good can follow, the connection should be closed
  };

  // Takes what it can from the front of `input`. A request that is whole in `input` is not copied; only a half one is
  // kept, and its memory is given back as soon as the rest has come and next() is called again.
  Event next(std::string_view& input);
  const Request& request() const { return request_; }
  std::string_view why() const { return why_; }
  // Whether some bytes of a request have come, but not all.
  bool in_request() const { return state_ != State::Start; }

 private:
  enum class State : unsigned char { Start, Length, Payload, Comma, Broken };

  Event malformed(const char* why);
  Event complete(std::string_view payload);

  const std::size_t limit_;
  State state_ = State::Start;
  std::size_t length_ = 0;  // of the payload
  std::size_t seen_ = 0;    // of its bytes
  std::string kept_;        // the beginning of a payload that came in pieces
  Request request_;
  const char* why_ = "";
};

// A reply that Postfix takes without misreading it: Ok is never empty nor too long, and no line breaks are in it.
class Reply {
 public:
  enum class Kind : unsigned char { Ok, NotFound, Temp, Perm };

  // CR, LF and NUL are left out of `data`. When nothing is left, or more than fits, it becomes a Temp that says so:
  // half a list of recipients would lose mail.
  static Reply ok(std::string_view data);
  static Reply not_found() { return Reply(Kind::NotFound, {}); }
  // A temporary failure: Postfix defers with 451 4.3.0 and logs the reason.
  static Reply temp(std::string_view reason);
  // A fault in somebody's configuration: Postfix defers with 451 4.3.5 and logs the reason. It is no bounce.
  static Reply perm(std::string_view reason);
  // What a server said; nothing for a word that is none of the protocol's.
  static std::optional<Reply> read(const Request& reply);

  Kind kind() const { return kind_; }
  // The data or the reason.
  const std::string& text() const { return text_; }
  // As it goes over the wire.
  std::string encode() const;

 private:
  Reply(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}

  Kind kind_;
  std::string text_;
};

// "OK", "NOTFOUND", "TEMP" or "PERM".
std::string_view word(Reply::Kind kind);

}  // namespace vmail::socketmap
