// The line protocol between vmail-authd and what runs inside other programs (checkpassword, the Lua module for Dovecot,
// the plugin for Cyrus SASL): one request, one reply, in order, any number on one connection. A line is fields between
// tabs (wire/tabs.h) and ends in LF; fields that are not known are passed over.
//
//   VERIFY       user=  password=  [service= rip= session=]      the verify socket
//   USERDB       user=  [service=]                               the verify socket
//   LIST         [after=]                                        the verify socket
//   CREDENTIALS  user=  [service= rip= scheme=]                  the credentials socket; that for keys, which gives
//                                                                SCRAM-SHA-256 keys alone
//
//   OK    user=  home=  uid=  gid=  [password={SCHEME}hash, for CREDENTIALS alone] [allow_nets=, with it]
//   OK    [user=]... [after=]
//         for LIST: mailboxes, as many as fit; after= when there may be more, to be asked for with it
//   NO    no such account, it is disabled, or the password is wrong: nobody is told which
//   TEMP  reason=
//         not known now; anything else than OK and NO means the same
//
// libc only: see wire/tabs.h.
#pragma once

#include <stddef.h>

namespace vmail::auth::protocol {

inline constexpr size_t kMaxLine = 8192;
inline constexpr size_t kMaxFields = 32;    // of all but the answer to LIST
inline constexpr size_t kMaxListed = 1024;  // fields of that

inline constexpr const char* kVerify = "VERIFY";
inline constexpr const char* kUserdb = "USERDB";
inline constexpr const char* kList = "LIST";
inline constexpr const char* kCredentials = "CREDENTIALS";

inline constexpr const char* kOk = "OK";
inline constexpr const char* kNo = "NO";
inline constexpr const char* kTemp = "TEMP";

}  // namespace vmail::auth::protocol
