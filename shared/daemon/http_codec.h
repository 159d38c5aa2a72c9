// The little of HTTP/1.1 (RFC 9110, RFC 9112) that it takes to serve metrics and to answer questions: one request a
// connection.
// Pure: bytes in, a request out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vmail::http {

// Of the request's line and its fields together.
inline constexpr std::size_t kMaxRequest = 8192;

struct Request {
  std::string method;
  std::string path;   // as it was sent, without host and query
  std::string query;  // what stood behind the '?'
  std::string field;  // the value of the one field that the decoder keeps
  std::string body;
};

class Decoder {
 public:
  // `max_body`: bytes of a body; with 0 none is taken. `kept_field`: the name of the field that is kept, or none.
  explicit Decoder(std::size_t max_body = 0, std::string_view kept_field = {})
      : max_body_(max_body), kept_field_(kept_field) {}
  enum class Event {
    NeedMore,
    Request,  // request() is set; what comes behind it is not looked at
    Refused,  // status() and why() are set
  };
  // After a Request or a Refused: not again.
  Event feed(std::string_view bytes);

  const Request& request() const { return request_; }
  int status() const { return status_; }
  std::string_view why() const { return why_; }

 private:
  bool take_line();
  bool take_request_line();
  bool take_field();
  bool take_length(std::string_view value);
  bool refuse(int status, std::string_view why);

  const std::size_t max_body_;
  const std::string kept_field_;
  std::string line_;
  std::size_t size_ = 0;
  Request request_;
  bool begun_ = false;      // the request's line has come
  bool wants_host_ = true;  // from HTTP/1.1 on
  bool in_body_ = false;
  std::optional<std::uint64_t> length_;  // of the body
  int hosts_ = 0;
  int status_ = 0;
  std::string_view why_;
};

// A whole response, after which the connection is closed. `allow`: the methods that a 405 names.
std::string response(int status, std::string_view content_type, std::string_view body, std::string_view allow = {});

}  // namespace vmail::http
