// A directory that answers as the test says, under the real login check and hash pool: the seam by which the database
// fails. The real directory stands under these sessions in tests/integration/test_auth.py.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "dovecot-auth/accounts.h"
#include "dovecot-auth/login.h"
#include "tests/support/socket_pair.h"

namespace vmail::test {

class Backend {
 public:
  explicit Backend(Loop& loop, std::size_t queue = 256)
      : loop_(loop),
        pool_("hash", 2, queue),
        accounts_([] {
          config::Settings::Mailboxes mailboxes;
          mailboxes.owner = "5000";
          mailboxes.group = "5001";
          return auth::Accounts(mailboxes);
        }()),
        logins_(loop, clock_, questions_, pool_, passwords()) {
    questions_.credentials = [this](std::string_view login, directory::Freshness,
                                    directory::Later<directory::Credentials> later) {
      return ask<directory::Credentials>(credentials_, held_credentials_, login, std::move(later));
    };
    questions_.mailbox = [this](std::string_view address, directory::Later<directory::Mailbox> later) {
      return ask<directory::Mailbox>(mailboxes_, held_mailboxes_, address, std::move(later));
    };
  }
  ~Backend() { pool_.stop(); }

  static config::Settings::Passwords passwords() {
    config::Settings::Passwords passwords;
    passwords.rounds = 1000;
    return passwords;
  }

  void add(const std::string& local, const std::string& domain, const std::string& stored) {
    credentials_[local + '@' + domain] = [=] {
      return Outcome<directory::Credentials>::found({{local, domain, ""}, Secret(stored)});
    };
    mailboxes_[local + '@' + domain] = [=] { return Outcome<directory::Mailbox>::found({local, domain, ""}); };
  }
  void add(const std::string& address, const std::string& local, const std::string& domain, const std::string& stored) {
    add(local, domain, stored);
    credentials_[address] = credentials_[local + '@' + domain];
    mailboxes_[address] = mailboxes_[local + '@' + domain];
  }
  void disable(const std::string& address) {
    credentials_[address] = [] { return Outcome<directory::Credentials>::disabled(); };
    mailboxes_[address] = [] { return Outcome<directory::Mailbox>::disabled(); };
  }
  void break_database(const std::string& address, const std::string& why) {
    credentials_[address] = [=] { return Outcome<directory::Credentials>::temp_fail(why); };
    mailboxes_[address] = [=] { return Outcome<directory::Mailbox>::temp_fail(why); };
  }
  // Questions are kept from now on, and answered by release().
  void hold() { holding_ = true; }
  void release() {
    holding_ = false;
    auto credentials = std::move(held_credentials_);
    auto mailboxes = std::move(held_mailboxes_);
    held_credentials_.clear();
    held_mailboxes_.clear();
    for (auto& [key, later] : credentials) later(lookup(credentials_, key));
    for (auto& [key, later] : mailboxes) later(lookup(mailboxes_, key));
  }
  // Keeps every thread of the pool busy until release_pool().
  void block_pool() {
    for (std::size_t i = 0; i < pool_.threads(); ++i) {
      must(pool_.submit([this](std::size_t) {
        ++blocked_;
        while (block_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }));
    }
    while (blocked_ < pool_.threads()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  void release_pool() { block_ = false; }

  std::size_t asked() const { return asked_; }
  auth::Logins& logins() { return logins_; }
  const auth::Questions& questions() const { return questions_; }
  const auth::Accounts& accounts() const { return accounts_; }
  WorkerPool& pool() { return pool_; }

  // Turns the loop until `done`, for as long as a loaded machine may need.
  template <class Done>
  bool until(Done done) {
    for (int i = 0; i < 30000; ++i) {
      loop_.run_ready();
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

 private:
  template <class T>
  using Answers = std::map<std::string, std::function<Outcome<T>()>, std::less<>>;
  template <class T>
  using Held = std::vector<std::pair<std::string, directory::Later<T>>>;

  static void must(bool submitted) {
    if (!submitted) throw std::runtime_error("the pool is full");
  }
  template <class T>
  static Outcome<T> lookup(const Answers<T>& answers, std::string_view key) {
    const auto found = answers.find(key);
    return found == answers.end() ? Outcome<T>::not_found() : found->second();
  }
  template <class T>
  directory::Answer<T> ask(const Answers<T>& answers, Held<T>& held, std::string_view key, directory::Later<T> later) {
    ++asked_;
    if (holding_) {
      held.emplace_back(key, std::move(later));
      return std::nullopt;
    }
    return lookup(answers, key);
  }

  Loop& loop_;
  SystemClock clock_;
  auth::Questions questions_;
  Answers<directory::Credentials> credentials_;
  Answers<directory::Mailbox> mailboxes_;
  Held<directory::Credentials> held_credentials_;
  Held<directory::Mailbox> held_mailboxes_;
  bool holding_ = false;
  std::size_t asked_ = 0;
  std::atomic<bool> block_{true};
  std::atomic<std::size_t> blocked_{0};
  WorkerPool pool_;
  auth::Accounts accounts_;
  auth::Logins logins_;
};

}  // namespace vmail::test
