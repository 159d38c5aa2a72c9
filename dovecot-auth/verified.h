// Passwords that were right a short while ago, so that a mail program that comes back again and again costs no hash.
// What is remembered is a keyed hash over user, stored hash and password, in memory that is never swapped out: it dies
// with the stored hash, and nothing can be learned from it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/base/secret.h"

namespace vmail::auth {

// Loop thread only.
class Verified {
 public:
  static constexpr std::size_t kEntries = 16384;  // 40 bytes each

  // Where memory cannot be locked (RLIMIT_MEMLOCK) nothing is remembered, and the log says so once.
  explicit Verified(Duration lifetime);
  ~Verified();
  Verified(const Verified&) = delete;
  Verified& operator=(const Verified&) = delete;

  bool has(std::string_view user, const Secret& stored, const Secret& password, Instant now) const;
  void add(std::string_view user, const Secret& stored, const Secret& password, Instant now);
  void forget(std::string_view user);
  void clear();
  // Zero: nothing is remembered. Of what is remembered the old one holds.
  void set_lifetime(Duration lifetime) { lifetime_ = lifetime; }

 private:
  struct Memory;  // entries and the key
  std::unique_ptr<Memory> memory_;
  Duration lifetime_;
};

}  // namespace vmail::auth
