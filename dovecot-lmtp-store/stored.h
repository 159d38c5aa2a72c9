// How a delivery, or a write to the spool, ended.
#pragma once

#include <string>

namespace vmail::store {

// Why a mailbox does not take a message although nothing is wrong with the disk.
enum class Refusal {
  None,
  FullForNow,  // over its quota, and the site has the client try again
  Full,        // over its quota
  TooBig,      // for this mailbox
};

struct Stored {
  int error = 0;      // errno; 0: on disk, and under its name, unless it was refused
  std::string where;  // the path below the base that it failed at, "" for the base itself
  std::string name;   // of the file
  Refusal refusal = Refusal::None;
  bool duplicate = false;  // the client had it stored before, under `name`, and lost the reply

  bool ok() const { return error == 0 && refusal == Refusal::None; }
};

}  // namespace vmail::store
