// The protocol of Cyrus SASL's saslauthd, on the server's side (saslauthd/ipc_unix.c and lib/checkpw.c of 2.1.28): four
// counted strings, and one as the answer. Pure: no descriptor, no clock, no log.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "shared/base/secret.h"

namespace vmail::auth::saslauthd {

inline constexpr std::size_t kMaxField = 1024;

struct Request {
  std::string user;  // login, or login@realm: libsasl2 splits at the last '@'
  Secret password;
  std::string service;
};

// One request a connection.
class Decoder {
 public:
  enum class Event {
    NeedMore,
    Request,    // request() may be taken; what follows is not looked at (newer clients send their address behind it)
    Malformed,  // a string longer than kMaxField
  };
  ~Decoder();
  // After a Request or Malformed: not again.
  Event feed(std::string_view bytes);
  Request request();

 private:
  static constexpr std::size_t kFields = 4;  // login, password, service, realm
  // Of one size and never moved, so that there is one place to wipe.
  std::array<std::array<char, kMaxField>, kFields> fields_;
  std::array<std::size_t, kFields> sizes_{};
  std::size_t field_ = 0;
  std::size_t header_ = 0;  // bytes of the count that have come
  std::size_t filled_ = 0;  // of the present field
};

std::string ok();
// `reason` is for people: libsasl2 looks at the NO alone.
std::string no(std::string_view reason);

}  // namespace vmail::auth::saslauthd
