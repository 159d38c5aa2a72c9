#include "postfix-maps/policy/codec.h"

#include <algorithm>
#include <utility>

#include "shared/base/text.h"

namespace vmail::policy {
namespace {

constexpr std::pair<std::string_view, std::string_view Request::*> kAttributes[] = {
    {"request", &Request::request},
    {"protocol_state", &Request::state},
    {"instance", &Request::instance},
    {"queue_id", &Request::queue_id},
    {"sender", &Request::sender},
    {"recipient", &Request::recipient},
    {"recipient_count", &Request::recipient_count},
    {"size", &Request::size},
    {"client_address", &Request::client_address},
    {"sasl_username", &Request::sasl_username},
};

}  // namespace

Decoder::Event Decoder::malformed(const char* why) {
  broken_ = true;
  kept_ = std::string();
  why_ = why;
  return Event::Malformed;
}

Decoder::Event Decoder::next(std::string_view& input) {
  if (broken_) return Event::Malformed;
  if (std::exchange(complete_, false)) {
    kept_ = std::string();  // not clear(): an idle connection owns no memory
    checked_ = searched_ = 0;
    request_ = Request();
  }
  if (input.empty()) return Event::NeedMore;
  const bool in_pieces = !kept_.empty();
  if (in_pieces) kept_.append(input);
  const std::string_view text = in_pieces ? std::string_view(kept_) : input;

  for (;;) {
    const auto end = text.find('\n', std::max(checked_, searched_));
    if (end == std::string_view::npos || end >= kMaxRequest) {
      if (text.size() > kMaxRequest) return malformed("a request is longer than 65536 bytes");
      searched_ = text.size();
      if (!in_pieces) kept_ = input;
      input = {};
      return Event::NeedMore;
    }
    const std::string_view line = text.substr(checked_, end - checked_);
    if (line.empty()) {
      input.remove_prefix(input.size() - (text.size() - end - 1));
      return complete(text.substr(0, checked_));
    }
    if (line.find('=') == std::string_view::npos) return malformed("a line is not name=value");
    checked_ = end + 1;
  }
}

// `lines` each end in a line break and hold a '='.
Decoder::Event Decoder::complete(std::string_view lines) {
  complete_ = true;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(line.size() + 1);
    const auto equals = line.find('=');  // the first: values hold more of them (SRS0=...)
    const std::string_view name = line.substr(0, equals);
    for (const auto& [known, member] : kAttributes) {
      if (name == known) request_.*member = line.substr(equals + 1);
    }
  }
  if (request_.request != "smtpd_access_policy") return malformed("a request is not request=smtpd_access_policy");
  return Event::Request;
}

std::string encode(std::string_view action) {
  std::string clean(action.substr(0, kMaxAction));
  const bool readable = is_utf8(clean);
  for (char& c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !readable)) c = '?';
  }
  return "action=" + clean + "\n\n";
}

}  // namespace vmail::policy
