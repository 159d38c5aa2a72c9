// What the directory asks of a database; a seam, so that tests can inject failure and delay.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"
#include "shared/directory/domains.h"
#include "shared/directory/rows.h"

namespace vmail::directory {

// Loop thread only. Each question calls `done` once, from the loop, never inside the call, at the latest at `deadline`:
// Found, or TempFail with the reason.
class Database {
 public:
  template <class T>
  using Done = MoveOnlyFunction<void(Outcome<T>)>;

  virtual ~Database() = default;
  virtual void domains(Instant deadline, Done<std::shared_ptr<const Domains>> done) = 0;
  // All rows of all keys, in one statement.
  virtual void addresses(std::vector<std::string> keys, Instant deadline, Done<AddressRows> done) = 0;
  virtual void credentials(std::vector<std::string> keys, Instant deadline, Done<CredentialRows> done) = 0;
  // What is outstanding is answered TempFail. Blocks until the workers have ended.
  virtual void stop() = 0;
};

}  // namespace vmail::directory
