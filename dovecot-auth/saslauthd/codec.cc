#include "dovecot-auth/saslauthd/codec.h"

#include <string.h>

#include <algorithm>

namespace vmail::auth::saslauthd {
namespace {

constexpr std::size_t kMaxReply = 1023;  // of libsasl2

std::string counted(std::string_view text) {
  text = text.substr(0, kMaxReply);
  std::string bytes;
  bytes += static_cast<char>(text.size() >> 8);
  bytes += static_cast<char>(text.size() & 0xff);
  return bytes.append(text);
}

}  // namespace

Decoder::~Decoder() {
  explicit_bzero(fields_.data(), sizeof fields_);
}

Decoder::Event Decoder::feed(std::string_view bytes) {
  while (field_ < kFields) {
    std::size_t& size = sizes_[field_];
    if (header_ < 2) {
      if (bytes.empty()) return Event::NeedMore;
      size = size << 8 | static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      if (++header_ == 2 && size > kMaxField) return Event::Malformed;
      continue;
    }
    const std::size_t taken = std::min(bytes.size(), size - filled_);
    memcpy(fields_[field_].data() + filled_, bytes.data(), taken);
    bytes.remove_prefix(taken);
    filled_ += taken;
    if (filled_ < size) return Event::NeedMore;
    ++field_;
    header_ = filled_ = 0;
  }
  return Event::Request;
}

Request Decoder::request() {
  const auto text = [&](std::size_t i) { return std::string_view(fields_[i].data(), sizes_[i]); };
  Request request{std::string(text(0)), Secret(text(1)), std::string(text(2))};
  if (!text(3).empty()) request.user.append("@").append(text(3));
  return request;
}

std::string ok() {
  return counted("OK");
}

std::string no(std::string_view reason) {
  return counted("NO " + std::string(reason));
}

}  // namespace vmail::auth::saslauthd
