#include "shared/socketmap/codec.h"

#include <algorithm>

namespace vmail::socketmap {
namespace {

constexpr std::size_t kMaxData = kMaxPayload - 3;  // "OK " counts

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string plain_reason(std::string_view reason) {
  std::string plain(reason.substr(0, kMaxReason));
  for (char& c : plain) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return plain;
}

// A netstring of the two words.
std::string encode(std::string_view first, std::string_view rest) {
  const std::size_t length = first.size() + 1 + rest.size();
  std::string out = std::to_string(length);
  out.reserve(out.size() + length + 2);
  out += ':';
  out += first;
  out += ' ';
  out += rest;
  out += ',';
  return out;
}

}  // namespace

std::string encode_request(std::string_view map, std::string_view key) {
  return encode(map, key);
}

Decoder::Event Decoder::malformed(const char* why) {
  state_ = State::Broken;
  kept_ = std::string();
  why_ = why;
  return Event::Malformed;
}

Decoder::Event Decoder::complete(std::string_view payload) {
  state_ = State::Start;
  request_.oversized = length_ > limit_;
  // A key may hold blanks, a map's name may not: split at the first.
  const auto space = payload.find(' ');
  request_.has_space = space != std::string_view::npos;
  request_.map = payload.substr(0, space);
  request_.key = request_.has_space ? payload.substr(space + 1) : std::string_view();
  return Event::Request;
}

Decoder::Event Decoder::next(std::string_view& input) {
  if (state_ == State::Broken) return Event::Malformed;
  if (state_ == State::Start) {
    request_ = Request();
    kept_ = std::string();  // not clear(): an idle connection owns no memory
  }

  while (!input.empty()) {
    const char c = input.front();
    switch (state_) {
      case State::Start:
        if (!is_digit(c)) return malformed("a netstring begins with its length in digits");
        length_ = static_cast<std::size_t>(c - '0');
        seen_ = 0;
        state_ = State::Length;
        input.remove_prefix(1);
        break;

      case State::Length:
        input.remove_prefix(1);
        if (c == ':') {
          state_ = length_ == 0 ? State::Comma : State::Payload;
          break;
        }
        if (!is_digit(c)) return malformed("':' or a digit is due after the length of a netstring");
        if (length_ == 0) return malformed("the length of a netstring has a leading zero");
        length_ = length_ * 10 + static_cast<std::size_t>(c - '0');
        if (length_ > kMaxPayload) return malformed("the length of a netstring is over 100000");
        break;

      case State::Payload: {
        if (seen_ == 0 && input.size() > length_) {  // all of it is here: no copy
          const std::string_view payload = input.substr(0, length_);
          if (input[length_] != ',') return malformed("a netstring does not end in ','");
          input.remove_prefix(length_ + 1);
          return complete(payload.substr(0, limit_));
        }
        const std::size_t take = std::min(input.size(), length_ - seen_);
        if (kept_.size() < limit_) kept_.append(input.substr(0, std::min(take, limit_ - kept_.size())));
        seen_ += take;
        input.remove_prefix(take);
        if (seen_ == length_) state_ = State::Comma;
        break;
      }

      case State::Comma:
        if (c != ',') return malformed("a netstring does not end in ','");
        input.remove_prefix(1);
        return complete(kept_);

      case State::Broken:
        return Event::Malformed;
    }
  }
  return Event::NeedMore;
}

Reply Reply::ok(std::string_view data) {
  std::string clean;
  clean.reserve(data.size());
  for (const char c : data) {
    if (c != '\r' && c != '\n' && c != '\0') clean += c;
  }
  if (clean.empty()) return temp("the answer is empty");
  if (clean.size() > kMaxData) {
    return temp("the answer has " + std::to_string(clean.size()) + " bytes, more than the " + std::to_string(kMaxData) +
                " that Postfix takes");
  }
  return Reply(Kind::Ok, std::move(clean));
}

Reply Reply::temp(std::string_view reason) {
  return Reply(Kind::Temp, plain_reason(reason));
}

Reply Reply::perm(std::string_view reason) {
  return Reply(Kind::Perm, plain_reason(reason));
}

std::optional<Reply> Reply::read(const Request& reply) {
  if (reply.map == "OK") return ok(reply.key);
  if (reply.map == "NOTFOUND") return not_found();
  if (reply.map == "TEMP" || reply.map == "TIMEOUT") return temp(reply.key);
  if (reply.map == "PERM") return perm(reply.key);
  return std::nullopt;
}

std::string Reply::encode() const {
  // The blank also where nothing follows: older releases take "OK" without it for not found.
  return socketmap::encode(word(kind_), text_);
}

std::string_view word(Reply::Kind kind) {
  switch (kind) {
    case Reply::Kind::Ok:
      return "OK";
    case Reply::Kind::NotFound:
      return "NOTFOUND";
    case Reply::Kind::Temp:
      return "TEMP";
    case Reply::Kind::Perm:
      return "PERM";
  }
  return "TEMP";
}

}  // namespace vmail::socketmap
