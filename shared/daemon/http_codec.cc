#include "shared/daemon/http_codec.h"

#include <algorithm>

#include "shared/base/text.h"

namespace vmail::http {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// RFC 9110 section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
  });
}

bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 505:
      return "HTTP Version Not Supported";
  }
  return "";
}

}  // namespace

bool Decoder::refuse(int status, std::string_view why) {
  status_ = status;
  why_ = why;
  return false;
}

Decoder::Event Decoder::feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (in_body_) {
      request_.body += c;
      if (request_.body.size() == *length_) return Event::Request;
      continue;
    }
    if (++size_ > kMaxRequest) {
      refuse(431, "the request is longer than 8192 bytes");
      return Event::Refused;
    }
    if (c != '\n') {
      line_ += c;
      continue;
    }
    // A line may end without its CR (RFC 9112 section 2.2).
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    if (line_.empty() && begun_) {
      if (hosts_ == 1 || (hosts_ == 0 && !wants_host_)) {
        in_body_ = length_.value_or(0) > 0;
        line_.clear();
        if (in_body_) continue;
        return Event::Request;
      }
      refuse(400, "a request names its host, once");  // RFC 9112 section 3.2
      return Event::Refused;
    }
    // Empty lines before the request are passed over (RFC 9112 section 2.2).
    if (!line_.empty() && !take_line()) return Event::Refused;
    line_.clear();
  }
  return Event::NeedMore;
}

bool Decoder::take_line() {
  if (begun_) return take_field();
  begun_ = true;
  return take_request_line();
}

// method SP request-target SP HTTP-version (RFC 9112 section 3).
bool Decoder::take_request_line() {
  const std::string_view line = line_;
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse(400, "the first line is no request of HTTP/1.1");
  const std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method) || target.empty() || target.front() == '?' || !is_visible(target)) {
    return refuse(400, "the first line is no request of HTTP/1.1");
  }
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || !is_digit(version[5]) || version[6] != '.' ||
      !is_digit(version[7])) {
    return refuse(400, "the first line is no request of HTTP/1.1");
  }
  if (version[5] != '1') return refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  wants_host_ = version[7] != '0';
  // A proxy is sent the whole address, and a server must take it too (RFC 9112 section 3.2.2).
  constexpr std::string_view kScheme = "http://";
  if (equal_ignoring_ascii_case(target.substr(0, kScheme.size()), kScheme)) {
    target.remove_prefix(std::min(target.find_first_of("/?", kScheme.size()), target.size()));
    if (target.empty() || target.front() == '?') target = "/";
  }
  request_.method = method;
  request_.path = target.substr(0, target.find('?'));
  target.remove_prefix(std::min(request_.path.size() + 1, target.size()));
  request_.query = target;
  return true;
}

// field-name ":" OWS field-value OWS (RFC 9112 section 5), never folded onto a second line (section 5.2).
bool Decoder::take_field() {
  const std::string_view line = line_;
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return refuse(400, "a field has no proper name");
  }
  if (line.find('\r') != std::string_view::npos || line.find('\0') != std::string_view::npos) {
    return refuse(400, "a field has a CR or NUL in it");
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim(line.substr(colon + 1));
  if (equal_ignoring_ascii_case(name, "host")) ++hosts_;
  if (!kept_field_.empty() && equal_ignoring_ascii_case(name, kept_field_)) request_.field = value;
  if (equal_ignoring_ascii_case(name, "transfer-encoding")) return refuse(413, "no body is taken here");
  return !equal_ignoring_ascii_case(name, "content-length") || take_length(value);
}

// RFC 9112 section 6.3; twice the same length is one.
bool Decoder::take_length(std::string_view value) {
  const auto length = parse_number(value);
  if (!length || (length_ && *length_ != *length)) return refuse(400, "the length of the body is no number");
  if (*length > max_body_) {
    return refuse(413, max_body_ == 0 ? "no body is taken here" : "the body is longer than is taken here");
  }
  length_ = length;
  return true;
}

std::string response(int status, std::string_view content_type, std::string_view body, std::string_view allow) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + ' ';
  text.append(reason(status)).append("\r\nContent-Type: ").append(content_type);
  text.append("\r\nContent-Length: ").append(std::to_string(body.size()));
  if (!allow.empty()) text.append("\r\nAllow: ").append(allow);
  text.append("\r\nConnection: close\r\n\r\n").append(body);
  return text;
}

}  // namespace vmail::http
