// What the command line says.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "shared/config/config.h"
#include "sql/vmailctl/app.h"

namespace vmail::sql {

using Command = std::function<int(const App&)>;

// What the arguments say; the sub-command that was named leaves its work in `command`.
struct Arguments {
  std::string file = config::kDefaultFile;
  bool json = false;
  std::string name;
  std::string second;
  std::string direction;
  std::vector<std::string> names;
  std::string from;
  std::string fate;
  bool flag = false;
  std::string daemon;
  std::string yes_or_no;
  AccessChange access;
  AppPasswordWish wish;
  WhichMailboxes which;
  Command command;
  bool needs_settings = true;
};

}  // namespace vmail::sql
