// An attempt on its way through the check: what login.cc and login_steps.cc share.
#pragma once

#include <algorithm>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dovecot-auth/access.h"
#include "dovecot-auth/login.h"

namespace vmail::auth {

enum class Logins::Kind : unsigned char { Check, Keys, Proof, Test };

// What a person reads in the mail program behind "535 5.7.8 Error: authentication failed:".
inline constexpr const char* kToldNothing = "the user name or the password is wrong";
inline constexpr const char* kToldBusy = "too many logins wait already";

// What ends an attempt that nothing is wrong with but itself.
struct Logins::Refusal {
  Cause cause;
  std::string reason;
  std::string told = kToldNothing;
};

struct Logins::Pending {
  Pending(Kind kind_of_it, Attempt&& what) : kind(kind_of_it), attempt(std::move(what)), account(attempt.user) {}

  const directory::AppPassword* app_password() const {
    return credentials ? find_app_password(*credentials, attempt.password) : nullptr;
  }
  const Secret& stored() const {
    const auto* app = app_password();
    return app != nullptr ? app->hash : credentials->hash;
  }
  // Of a test: what was seen on the way. The parts of its text are put together for a test alone.
  template <class... Parts>
  void note(const char* step, bool good, const Parts&... parts) {
    if (kind == Kind::Test) steps.push_back({step, good, (std::string() + ... + parts)});
  }
  // The row is read again: what was seen of it is seen anew.
  void forget_account() {
    steps.erase(std::find_if(steps.begin(), steps.end(), [](const auto& step) { return step.what == "account"; }),
                steps.end());
  }

  const Kind kind;
  Attempt attempt;
  std::string account;  // under which it is counted: as it was typed, then its mailbox
  Done done;
  MoveOnlyFunction<void(Outcome<Keys>)> keys_done;
  Explained explained;
  bool right = false;  // of a proof
  bool known = false;  // the account has logged in well from there
  Strangers::Place stranger;

  std::optional<directory::Credentials> credentials;
  bool fresh = false;  // they were read for this attempt: a refusal may rest on them
  std::optional<Refusal> no_account;
  // The hash that was computed, and what came out; a fresh row with the same one needs no other.
  Secret tried;
  std::optional<password::Result> result;

  std::optional<Refusal> first_refusal;  // of a test, which goes on
  std::vector<Explanation::Step> steps;

  Instant arrival, expires;
  std::optional<Timer> timer, deadline;  // most attempts wait for nothing
  bool over = false;
  std::list<PendingPtr>::iterator place;
};

}  // namespace vmail::auth
