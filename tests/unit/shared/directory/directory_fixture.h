// A Directory over a database and a clock that a test moves, and what came of its questions.
#pragma once

#include <thread>

#include "shared/directory/directory.h"
#include "shared/directory/stats.h"
#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"
#include "tests/unit/shared/directory/fake_database.h"

namespace vmail::directory::test {

using namespace std::chrono_literals;
using vmail::test::ManualClock;

struct Fixture {
  Loop loop;
  ManualClock clock;
  config::Settings settings;
  std::shared_ptr<FakeDatabase::Tables> tables = std::make_shared<FakeDatabase::Tables>();
  std::unique_ptr<Directory> directory;

  Fixture() {
    // The refresh is a real timer: out of the way unless a test wants it.
    settings.directory.domains_refresh = 600s;
    tables->domains = {
        {"own", "d.org", std::nullopt}, {"alias", "alias.org", "d.org"}, {"relay", "relay.org", std::nullopt}};
    tables->add_user("u@d.org");
    tables->add_user("off@d.org", "0");
    tables->add_alias("a@d.org", "u@d.org");
  }
  ~Fixture() {
    directory.reset();
    loop.run_ready();
  }

  void open(const std::string& state_folder = "") {
    directory =
        std::make_unique<Directory>(loop, clock, settings, std::make_unique<FakeDatabase>(loop, tables), state_folder);
    loop.run_ready();
  }
  // Until something has happened that takes real time; a test that waits in vain fails by its condition.
  template <class F>
  void run_until(F happened) {
    for (int i = 0; i < 10000 && !happened(); ++i) {
      loop.run_ready();
      std::this_thread::sleep_for(1ms);
    }
  }
  std::size_t questions() const { return tables->address_questions.size(); }
};

// What came of a question: at once, later, or not yet.
template <class T>
struct Result {
  std::optional<Outcome<T>> outcome;
  bool at_once = false;
};
template <class T>
using ResultPtr = std::shared_ptr<Result<T>>;

template <class T>
std::string text(const Outcome<T>& outcome) {
  switch (outcome.status()) {
    case Status::NotFound:
      return "-";
    case Status::Disabled:
      return "disabled";
    case Status::TempFail:
      return "fail: " + outcome.reason();
    case Status::Found:
      break;
  }
  if constexpr (std::is_same_v<T, Mailbox>) return outcome.value().address();
  if constexpr (std::is_same_v<T, Credentials>) return outcome.value().hash.text();
  if constexpr (std::is_same_v<T, DomainKind>) return std::to_string(int(outcome.value()));
  if constexpr (std::is_same_v<T, AddressList>) return std::string(*outcome.value().begin());
}
// "open", or the answer; with a mark when it was there at once.
template <class T>
std::string text(const ResultPtr<T>& result) {
  if (!result->outcome) return "open";
  return text(*result->outcome) + (result->at_once ? " !" : "");
}

template <class T, class Ask>
ResultPtr<T> ask(Ask question) {
  auto result = std::make_shared<Result<T>>();
  auto inside = std::make_shared<bool>(true);
  auto answer = question([result, inside](Outcome<T> outcome) {
    CHECK_FALSE(*inside);
    CHECK_FALSE(result->outcome);
    result->outcome = std::move(outcome);
  });
  *inside = false;
  if (answer) {
    result->at_once = true;
    result->outcome = std::move(answer);
  }
  return result;
}

inline ResultPtr<Mailbox> mailbox(Fixture& f, const char* address, Freshness freshness = Freshness::Cached) {
  return ask<Mailbox>([&](auto later) { return f.directory->mailbox(address, freshness, std::move(later)); });
}
inline ResultPtr<AddressList> aliases(Fixture& f, const char* address) {
  return ask<AddressList>([&](auto later) { return f.directory->aliases(address, std::move(later)); });
}
inline ResultPtr<DomainKind> domain(Fixture& f, const std::string& name) {
  return ask<DomainKind>([&](auto later) { return f.directory->domain(name, std::move(later)); });
}
inline ResultPtr<Credentials> credentials(Fixture& f, const char* login, Freshness freshness = Freshness::Cached) {
  return ask<Credentials>([&](auto later) { return f.directory->credentials(login, freshness, std::move(later)); });
}
inline ResultPtr<AddressList> rule(Fixture& f, RuleKind kind, const char* address) {
  return ask<AddressList>([&](auto later) { return f.directory->rule(kind, address, std::move(later)); });
}
// The answer after what was posted has run.
template <class T>
std::string settled(Fixture& f, const ResultPtr<T>& result) {
  f.loop.run_ready();
  return text(result);
}

inline const std::string kOwn = "0 !", kRelay = "1 !", kAlias = "2 !", kNone = "- !";

}  // namespace vmail::directory::test
