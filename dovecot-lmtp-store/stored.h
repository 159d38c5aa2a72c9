// How a delivery, or a write to the spool, ended.
#pragma once

#include <string>

namespace vmail::store {

struct Stored {
  int error = 0;      // errno; 0: on disk, and under its name
  std::string where;  // the path below the base that it failed at, "" for the base itself
  std::string name;   // of the file
  bool ok() const { return error == 0; }
};

}  // namespace vmail::store
