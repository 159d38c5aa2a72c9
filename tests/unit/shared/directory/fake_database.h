// A database whose rows, delays and failures a test sets.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shared/directory/database.h"
#include "shared/directory/idn.h"
#include "shared/directory/sql_database.h"
#include "shared/runtime/loop.h"

namespace vmail::directory::test {

class FakeDatabase final : public Database {
 public:
  // What the tables hold, and what was asked. Shared, since the Directory owns the FakeDatabase.
  struct Tables {
    std::vector<mysql::Row> domains;      // kind, name, target
    std::vector<mysql::Row> rules;        // kind, name, value
    std::string rules_fault;              // they cannot be read
    std::vector<mysql::Row> addresses;    // kind, id, address, enable, destination
    std::vector<mysql::Row> credentials;  // address, enable, password, and what else the preset's text has
    int schema_version = 3;
    // What the triggers have noted; none: there is no feed.
    bool feed = false;
    std::string feed_identity = "feed";
    std::vector<Change> changes;
    bool down = false;  // questions are answered TempFail
    bool credentials_down = false;
    bool frozen = false;  // questions are not answered until release()
    int domain_questions = 0;
    std::vector<std::vector<std::string>> address_questions;
    int credential_questions = 0;
    int polls = 0;
    int loads = 0;
    std::vector<std::vector<AppPasswordUse>> uses;
    std::vector<LoginChange> changes_of_logins;
    bool change_applies = true;  // the stored hash is still the one
    std::deque<std::function<void()>> held;

    void add_user(const std::string& address, const char* enable = "1", const char* hash = "hash") {
      const std::string id = std::to_string(addresses.size() + 1);
      addresses.push_back({"user", id, address, enable, std::nullopt});
      credentials.push_back({address, enable, hash});
    }
    void remove(const std::string& address) {
      std::erase_if(addresses, [&](const auto& row) { return row[2] == address; });
      std::erase_if(credentials, [&](const auto& row) { return row[0] == address; });
    }
    void note(const std::string& key, Change::Kind kind = Change::Kind::Address) { changes.push_back({kind, key}); }
    void add_alias(const std::string& source, const std::string& destination, const char* enable = "1") {
      addresses.push_back({"alias", std::to_string(addresses.size() + 1), source, enable, destination});
    }
    void add_rule(RuleKind kind, const std::string& name, const std::string& value) {
      rules.push_back({word(kind), name, value});
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
    answer<std::shared_ptr<const Domains>>(sets(), std::move(done));
  }
  void addresses(std::vector<std::string> keys, Instant, Done<AddressRows> done) override {
    tables_->address_questions.push_back(keys);
    answer<AddressRows>(read_addresses(keys, tables_->addresses), std::move(done));
  }
  void credentials(std::vector<std::string> keys, Instant, Done<CredentialRows> done) override {
    ++tables_->credential_questions;
    const bool before = std::exchange(tables_->down, tables_->down || tables_->credentials_down);
    answer<CredentialRows>(read_credentials(keys, tables_->credentials), std::move(done));
    tables_->down = before;
  }
  void mailboxes(std::uint64_t after, Instant, Done<MailboxPage> done) override {
    std::vector<mysql::Row> rows;
    for (const auto& row : tables_->addresses) {
      if (row[0] == "user" && std::stoull(*row[1]) > after && rows.size() < 3) rows.push_back({row[1], row[2], row[3]});
    }
    MailboxPage page = read_mailboxes(rows);
    page.more = rows.size() == 3;
    answer<MailboxPage>(std::move(page), std::move(done));
  }
  void changes(FeedQuestion question, Instant, Done<FeedAnswer> done) override {
    ++tables_->polls;
    FeedAnswer feed;
    if (!tables_->feed) feed.unavailable = "there are no triggers";
    feed.identity = tables_->feed_identity;
    feed.triggers = "all";
    for (std::uint64_t id = 1; id <= tables_->changes.size(); ++id) {
      const FeedAnswer::Note note{id, "note " + std::to_string(id), tables_->changes[id - 1]};
      feed.newest = note.id;
      feed.newest_witness = note.witness;
      if (question.from > 0 && id >= question.from) feed.notes.push_back(note);
      for (const auto& [first, last] : question.spans) {
        if (id >= first && id <= last) feed.late.push_back(note);
      }
    }
    answer<FeedAnswer>(std::move(feed), std::move(done));
  }
  void everything(std::size_t max_bytes, Instant, Done<Everything> done) override {
    ++tables_->loads;
    std::vector<std::string> keys;
    for (const auto& row : tables_->addresses) keys.push_back(address_key(*row[2]));
    RowSet::Builder builder(max_bytes);
    std::uint64_t order = 0;
    try {
      for (const auto& [key, row] : read_addresses(keys, tables_->addresses)) builder.add(key, ++order, row);
      answer<Everything>({sets(), builder.finish()}, std::move(done));
    } catch (const RowSet::Builder::TooLarge&) {
      auto call = std::make_shared<Done<Everything>>(std::move(done));
      loop_.post([call, max_bytes] {
        (*call)(Outcome<Everything>::temp_fail("more than " + std::to_string(max_bytes) + " bytes"));
      });
    }
  }
  void prune(Instant, Done<bool> done) override { answer<bool>(false, std::move(done)); }
  void note_uses(std::vector<AppPasswordUse> uses, Instant, Done<bool> done) override {
    tables_->uses.push_back(std::move(uses));
    answer<bool>(true, std::move(done));
  }
  void change_login(LoginChange change, Instant, Done<bool> done) override {
    tables_->changes_of_logins.push_back(std::move(change));
    answer<bool>(bool(tables_->change_applies), std::move(done));
  }
  void describe(DatabaseStats&) const override {}
  void stop() override {
    tables_->down = true;
    tables_->release();
  }

 private:
  std::shared_ptr<const Domains> sets() const {
    auto domains = read_domains(tables_->domains, tables_->schema_version);
    auto unreadable = std::make_shared<Rules>();
    unreadable->fault = tables_->rules_fault;
    domains->rules = tables_->rules_fault.empty() ? read_rules(tables_->rules) : std::move(unreadable);
    return domains;
  }

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
