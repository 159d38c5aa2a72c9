// All that is written together.
#pragma once

#include "shared/mysql/connection.h"

namespace vmail::mysql {

// Commits when commit() is called, and otherwise rolls back; a connection on which that fails is given up, and what was
// done goes with it. The calls throw Error.
class Transaction {
 public:
  explicit Transaction(Connection& connection) : connection_(connection) { connection_.run("START TRANSACTION"); }
  ~Transaction() {
    if (committed_) return;
    try {
      connection_.run("ROLLBACK");
    } catch (const std::exception&) {
      connection_.give_up();
    }
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() {
    connection_.run("COMMIT");
    committed_ = true;
  }

 private:
  Connection& connection_;
  bool committed_ = false;
};

}  // namespace vmail::mysql
