// A Database that tells whether questions are answered: what breaker, status and the end of an outage go by, whoever it
// was that asked.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shared/directory/database.h"

namespace vmail::directory {

// Loop thread only.
class WatchedDatabase final : public Database {
 public:
  // `reason` is nullptr when a question was answered, and says why it was not otherwise. Called before the question's
  // own `done`.
  using Watch = MoveOnlyFunction<void(const std::string* reason)>;

  explicit WatchedDatabase(std::unique_ptr<Database> database)
      : database_(std::move(database)), watch_(std::make_shared<Watch>()) {}
  void watch(Watch watch) { *watch_ = std::move(watch); }

  void domains(Instant deadline, Done<std::shared_ptr<const Domains>> done) override {
    database_->domains(deadline, watched(std::move(done)));
  }
  void addresses(std::vector<std::string> keys, Instant deadline, Done<AddressRows> done) override {
    database_->addresses(std::move(keys), deadline, watched(std::move(done)));
  }
  void credentials(std::vector<std::string> keys, Instant deadline, Done<CredentialRows> done) override {
    database_->credentials(std::move(keys), deadline, watched(std::move(done)));
  }
  void mailboxes(std::uint64_t after, Instant deadline, Done<MailboxPage> done) override {
    database_->mailboxes(after, deadline, watched(std::move(done)));
  }
  void changes(FeedQuestion question, Instant deadline, Done<FeedAnswer> done) override {
    database_->changes(std::move(question), deadline, watched(std::move(done)));
  }
  // These fail for reasons of their own: too many rows, no host for writes.
  void everything(std::size_t max_bytes, Instant deadline, Done<Everything> done) override {
    database_->everything(max_bytes, deadline, std::move(done));
  }
  void prune(Instant deadline, Done<bool> done) override { database_->prune(deadline, std::move(done)); }
  void note_uses(std::vector<AppPasswordUse> uses, Instant deadline, Done<bool> done) override {
    database_->note_uses(std::move(uses), deadline, std::move(done));
  }
  void change_login(LoginChange change, Instant deadline, Done<bool> done) override {
    database_->change_login(std::move(change), deadline, std::move(done));
  }
  void describe(DatabaseStats& stats) const override { database_->describe(stats); }
  void stop() override { database_->stop(); }

 private:
  template <class T>
  Done<T> watched(Done<T> done) {
    return [watch = watch_, done = std::move(done)](Outcome<T> outcome) mutable {
      if (*watch) (*watch)(outcome.is_found() ? nullptr : &outcome.reason());
      done(std::move(outcome));
    };
  }

  std::unique_ptr<Database> database_;
  std::shared_ptr<Watch> watch_;
};

}  // namespace vmail::directory
