// The one answer type of every lookup, from the MySQL call to the edge of each protocol.
//
// A fault in the database is never "no such user": TempFail is a status of its own, and carries the reason in words for
// an administrator. Each protocol spells the four outcomes in one small function.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace vmail {

// Where an answer comes from, for counters and logs.
enum class Source : unsigned char {
  Database,  // read for this question, or with it
  Memory,
  Stale,  // from memory, past its lifetime: the database cannot be asked
};

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
  // For an outcome that is used again and again, so that the memory of its value is too: Found with the value that was
  // there before, to be changed in place.
  T& find_again() {
    status_ = Status::Found;
    reason_.clear();
    if (!value_) value_.emplace();
    return *value_;
  }
  void become(Status status) {
    assert(status == Status::NotFound || status == Status::Disabled);
    status_ = status;
    reason_.clear();
  }
  void fail(std::string_view reason) {
    status_ = Status::TempFail;
    reason_.assign(reason);
  }

  Source source() const { return source_; }
  void set_source(Source source) { source_ = source; }

  // Any status but Found, taken over from a question of another type.
  template <class U>
  static Outcome without_value(const Outcome<U>& other) {
    assert(other.status() != Status::Found);
    Outcome outcome(other.status());
    outcome.reason_ = other.reason();
    outcome.source_ = other.source();
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
  Source source_ = Source::Database;
  std::optional<T> value_;
  std::string reason_;
};

}  // namespace vmail
