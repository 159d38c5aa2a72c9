// A directory that answers as the test says, under the real login check and hash pool: the seam by which the database
// fails. The real directory stands under these sessions in tests/integration/test_auth.py.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "dovecot-auth/accounts.h"
#include "dovecot-auth/hash_queue.h"
#include "dovecot-auth/login.h"
#include "tests/support/socket_pair.h"

namespace vmail::test {

class Backend {
 public:
  // Without threads nothing is hashed.
  explicit Backend(Loop& loop, std::size_t queue = 256, std::size_t threads = 2)
      : loop_(loop),
        hashes_(loop, clock_, threads, queue),
        accounts_([] {
          config::Settings::Mailboxes mailboxes;
          mailboxes.owner = "5000";
          mailboxes.group = "5001";
          return auth::Accounts(mailboxes);
        }()),
        logins_({loop, clock_, questions_, hashes_, background_, throttle_, locked_, paces()}, settings()) {
    questions_.credentials = [this](std::string_view login, directory::Freshness freshness,
                                    directory::Later<directory::Credentials> later) {
      if (freshness == directory::Freshness::FreshForRefusal) ++asked_fresh_;
      return ask<directory::Credentials>(credentials_, held_credentials_, login, std::move(later));
    };
    questions_.mailbox = [this](std::string_view address, directory::Later<directory::Mailbox> later) {
      return ask<directory::Mailbox>(mailboxes_, held_mailboxes_, address, std::move(later));
    };
    questions_.mailboxes = [this](std::uint64_t after, directory::Later<directory::MailboxPage> later) {
      ++asked_;
      loop_.post([this, after, later = std::move(later)]() mutable { later(page(after)); });
    };
  }
  ~Backend() { stop(); }
  void stop() {
    hashes_.stop();
    background_.stop();
  }

  static config::Settings settings() {
    config::Settings settings;
    settings.passwords.rounds = 1000;
    return settings;
  }
  // Tests of the tick itself are in tick_test.cc.
  static auth::Paces paces() { return {{Duration(0), Duration(0)}, {Duration(0), Duration(0)}}; }

  // `change` makes the credentials what the test wants.
  using Change = std::function<void(directory::Credentials&)>;
  void add(const std::string& local, const std::string& domain, const std::string& stored, const Change& change = {}) {
    credentials_[local + '@' + domain] = [=] {
      directory::Credentials credentials;
      credentials.mailbox = {local, domain, ""};
      credentials.hash = Secret(stored);
      if (change) change(credentials);
      auto outcome = Outcome<directory::Credentials>::found(std::move(credentials));
      outcome.set_source(Source::Memory);
      return outcome;
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
  // The list of all mailboxes has so many, u1@mydomain.com and so on, and may break off behind one.
  void list(std::uint64_t count, std::uint64_t break_off = 0) {
    listed_ = count;
    break_off_ = break_off;
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
  std::size_t asked() const { return asked_; }
  std::size_t asked_fresh() const { return asked_fresh_; }
  auth::Logins& logins() { return logins_; }
  const auth::Questions& questions() const { return questions_; }
  const Clock& clock() const { return clock_; }
  const auth::Accounts& accounts() const { return accounts_; }
  auth::Questions& questions() { return questions_; }
  auth::Throttle& throttle() { return throttle_; }
  directory::DenyList& locked() { return locked_; }

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

  Outcome<directory::MailboxPage> page(std::uint64_t after) const {
    if (break_off_ > 0 && after >= break_off_) {
      return Outcome<directory::MailboxPage>::temp_fail("the database is down");
    }
    directory::MailboxPage page;
    page.last = after;
    while (page.last < listed_ && page.mailboxes.size() < 200) {
      ++page.last;
      page.mailboxes.push_back({page.last, "u" + std::to_string(page.last) + "@mydomain.com"});
    }
    page.more = page.last < listed_;
    return Outcome<directory::MailboxPage>::found(std::move(page));
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
  std::uint64_t listed_ = 0, break_off_ = 0;
  std::size_t asked_ = 0;
  std::size_t asked_fresh_ = 0;
  auth::HashQueue hashes_;
  WorkerPool background_{"background", 1, 16};
  auth::Throttle throttle_{{}};
  directory::DenyList locked_{""};
  auth::Accounts accounts_;
  auth::Logins logins_;
};

}  // namespace vmail::test
