// All that is written together, on a pool's connection.
#pragma once

#include "shared/mysql/connection.h"

namespace vmail::mysql {

// Commits when commit() is called; otherwise the connection, and with it what was done, is given up. Throws Error.
class Transaction {
 public:
  explicit Transaction(Connection& connection) : connection_(connection) { connection_.run("START TRANSACTION"); }
  ~Transaction() {
    if (!committed_) connection_.give_up();
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
