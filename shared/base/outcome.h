// The one answer type of every lookup, from the MySQL call to the edge of each protocol.
//
// A fault in the database is never "no such user": TempFail is a status of its own, and carries the reason in words for
// an administrator. Each protocol spells the four outcomes in one small function.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace vmail {

enum class Status : unsigned char {
  Found,     // there is a value
  NotFound,  // known not to exist
  Disabled,  // exists and is switched off; ladders stop here, they do not fall through to a catch-all
  TempFail,  // not known: the database could not be asked, or holds data that makes no sense
};

// A plain value type; copyable when T is.
template <class T>
class [[nodiscard]] Outcome {
 public:
  static Outcome found(T value) {
    Outcome outcome(Status::Found);
    outcome.value_ = std::move(value);
    return outcome;
  }
  static Outcome not_found() { return Outcome(Status::NotFound); }
  static Outcome disabled() { return Outcome(Status::Disabled); }
  // `reason` says what is wrong and where, in one line without secrets; it is logged and may reach a peer's log.
  static Outcome temp_fail(std::string reason) {
    Outcome outcome(Status::TempFail);
    outcome.reason_ = std::move(reason);
    return outcome;
  }
  // Any status but Found, taken over from a question of another type.
  template <class U>
  static Outcome without_value(const Outcome<U>& other) {
    assert(other.status() != Status::Found);
    Outcome outcome(other.status());
    outcome.reason_ = other.reason();
    return outcome;
  }

  Status status() const { return status_; }
  bool is_found() const { return status_ == Status::Found; }
  bool is_temp_fail() const { return status_ == Status::TempFail; }

  // Only when Found.
  const T& value() const& {
    assert(is_found());
    return *value_;
  }
  T&& value() && {
    assert(is_found());
    return std::move(*value_);
  }
  // Empty unless TempFail.
  const std::string& reason() const { return reason_; }

 private:
  explicit Outcome(Status status) : status_(status) {}

  Status status_;
  std::optional<T> value_;
  std::string reason_;
};

}  // namespace vmail
