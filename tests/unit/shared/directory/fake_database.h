// A database whose rows, delays and failures a test sets.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shared/directory/database.h"
#include "shared/directory/sql_database.h"
#include "shared/runtime/loop.h"

namespace vmail::directory::test {

class FakeDatabase final : public Database {
 public:
  // What the tables hold, and what was asked. Shared, since the Directory owns the FakeDatabase.
  struct Tables {
    std::vector<mysql::Row> domains;      // kind, name, target
    std::vector<mysql::Row> addresses;    // kind, id, address, enable, destination
    std::vector<mysql::Row> credentials;  // address, enable, password
    int schema_version = 3;
    bool down = false;    // questions are answered TempFail
    bool frozen = false;  // questions are not answered until release()
    int domain_questions = 0;
    std::vector<std::vector<std::string>> address_questions;
    int credential_questions = 0;
    std::deque<std::function<void()>> held;

    void add_user(const std::string& address, const char* enable = "1", const char* hash = "hash") {
      const std::string id = std::to_string(addresses.size() + 1);
      addresses.push_back({"user", id, address, enable, std::nullopt});
      credentials.push_back({address, enable, hash});
    }
    void add_alias(const std::string& source, const std::string& destination, const char* enable = "1") {
      addresses.push_back({"alias", std::to_string(addresses.size() + 1), source, enable, destination});
    }
    // Answers what was held back, with the rows as they were when it was asked.
    void release() {
      frozen = false;
      for (auto& answer : std::exchange(held, {})) answer();
    }
  };

  FakeDatabase(Loop& loop, std::shared_ptr<Tables> tables) : loop_(loop), tables_(std::move(tables)) {}

  void domains(Instant, Done<std::shared_ptr<const Domains>> done) override {
    ++tables_->domain_questions;
    answer<std::shared_ptr<const Domains>>(read_domains(tables_->domains, tables_->schema_version), std::move(done));
  }
  void addresses(std::vector<std::string> keys, Instant, Done<AddressRows> done) override {
    tables_->address_questions.push_back(keys);
    answer<AddressRows>(read_addresses(keys, tables_->addresses), std::move(done));
  }
  void credentials(std::vector<std::string> keys, Instant, Done<CredentialRows> done) override {
    ++tables_->credential_questions;
    answer<CredentialRows>(read_credentials(keys, tables_->credentials), std::move(done));
  }
  void stop() override {
    tables_->down = true;
    tables_->release();
  }

 private:
  template <class T>
  void answer(T value, Done<T> done) {
    auto call = std::make_shared<Done<T>>(std::move(done));
    auto kept = std::make_shared<T>(std::move(value));
    if (tables_->frozen) {
      tables_->held.push_back([call, kept, tables = tables_] {
        (*call)(tables->down ? Outcome<T>::temp_fail("injected") : Outcome<T>::found(std::move(*kept)));
      });
      return;
    }
    loop_.post([call, kept, down = tables_->down] {
      (*call)(down ? Outcome<T>::temp_fail("injected") : Outcome<T>::found(std::move(*kept)));
    });
  }

  Loop& loop_;
  std::shared_ptr<Tables> tables_;
};

}  // namespace vmail::directory::test
