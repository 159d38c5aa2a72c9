// The little of HTTP/1.1 (RFC 9110, RFC 9112) that it takes to serve metrics: one request without a body a connection.
// Pure: bytes in, a request out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vmail::http {

// Of the request's line and its fields together.
inline constexpr std::size_t kMaxRequest = 8192;

struct Request {
  std::string method;
  std::string path;  // as it was sent, without host and query
};

class Decoder {
 public:
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
  bool refuse(int status, std::string_view why);

  std::string line_;
  std::size_t size_ = 0;
  Request request_;
  bool begun_ = false;      // the request's line has come
  bool wants_host_ = true;  // from HTTP/1.1 on
  int hosts_ = 0;
  int status_ = 0;
  std::string_view why_;
};

// A whole response, after which the connection is closed. `allow`: the methods that a 405 names.
std::string response(int status, std::string_view content_type, std::string_view body, std::string_view allow = {});

}  // namespace vmail::http
