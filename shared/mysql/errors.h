// From the numbers of server and client library to ErrorKind and to words that say what to do.
#pragma once

#include <string>

#include "shared/mysql/connection.h"

namespace vmail::mysql {

// For messages: who asked whom.
struct Context {
  std::string host;
  std::string user;
  std::string database;
};

ErrorKind classify(unsigned code);
Error make_error(const Context& context, unsigned code, const std::string& server_message);

}  // namespace vmail::mysql
