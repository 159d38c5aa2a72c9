// A string that is wiped when it goes. Move-only, and cannot be formatted: a password or hash does not reach a log by
// accident.
#pragma once

#include <string.h>

#include <string>
#include <string_view>
#include <utility>

namespace vmail {

// Overwrites the characters of a string, the unused ones of its buffer too, and empties it.
inline void wipe(std::string& text) {
  text.resize(text.capacity());
  explicit_bzero(text.data(), text.size());
  text.clear();
}

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text) : text_(text) {}
  // Takes the text over and wipes what the caller leaves behind.
  static Secret take(std::string& text) {
    Secret secret;
    secret.text_ = std::move(text);
    wipe(text);
    return secret;
  }

  // A long string hands its buffer over; a short one is copied by its move, and wiped.
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { wipe(other.text_); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe(text_);
      text_ = std::move(other.text_);
      wipe(other.text_);
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(text_); }

  Secret copy() const { return Secret(text_); }
  // Valid while this Secret lives and is not moved from. c_str() of it ends in NUL.
  const std::string& text() const { return text_; }
  std::string_view view() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  std::string text_;
};

}  // namespace vmail
