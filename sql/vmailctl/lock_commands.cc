// A stolen account: everything that ends its use at once, each part for itself, so that none keeps the others from
// being done. What was done is said as it is done.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "shared/base/text.h"
#include "shared/directory/sql_usage_journal.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/catalog.h"
#include "sql/vmailctl/daemons.h"
#include "sql/vmailctl/dovecot.h"
#include "sql/vmailctl/keys.h"
#include "sql/vmailctl/mail_queue.h"
#include "sql/vmailctl/refusal.h"
#include "sql/vmailctl/states.h"

namespace vmail::sql {
namespace {

constexpr std::chrono::seconds kPatience{3};  // with a database that may be frozen

class Work {
 public:
  Work(const App& app, std::string address, bool lock) : app_(app), address_(std::move(address)), lock_(lock) {
    result_ = {{"address", address_}, {"locked", lock_}};
  }

  // On this host, at once, and whatever becomes of the database.
  void tell_daemons() {
    Json told = Json::array();
    for (const auto& daemon : installed()) {
      const Reply reply = ask(daemon, {{"command", lock_ ? "lock" : "unlock"}, {"address", address_}});
      const bool good = reply.state == Reply::State::Answered;
      told.push_back({{"daemon", daemon.program}, {"told", good}});
      if (good) {
        done(fmt::format("{}: {}", daemon.program, lock_ ? "refuses the login" : "lets the login pass again"));
      } else if (reply.state == Reply::State::NotRunning) {
        // It answers nobody now, and goes by the database when it starts.
        app_.output.note(fmt::format("{} does not run", daemon.program));
      } else {
        failed(fmt::format("{} was not told: {}", daemon.program, reply.error));
      }
    }
    if (told.empty()) app_.output.note("no daemon of vmailkit is installed here");
    result_["daemons"] = told;
  }

  // On every other host. Nothing when it cannot be reached.
  void write_database() {
    try {
      connection_ = connect_within(app_, kPatience);
      catalog_ = std::make_unique<Catalog>(*connection_);
      const auto user = catalog_->user(address_);
      if (!user) {
        result_["database"] = "no such user";
        return failed(fmt::format("database: there is no user {}; is it spelled right?", address_));
      }
      RuleTable rules(*connection_);
      rules.exists() ? change_state(rules, *user) : change_enable(*user);
    } catch (const mysql::Error& error) {
      connection_.reset();
      catalog_.reset();
      result_["database"] = "not written";
      failed(fmt::format("database: {}; run this again when it can be reached, for the other hosts", error.what()));
    }
    tell_of_logins(app_, {address_});
  }

  void end_sessions() {
    const Kicked kicked = kick_sessions(address_);
    result_["sessions"] = kicked.done ? "ended" : "not ended";
    kicked.done ? done("Dovecot: " + kicked.how) : failed("Dovecot: " + kicked.how);
  }

  // What the login has sent and is not delivered yet.
  void look_at_queue(bool hold) {
    if (!has_program("postqueue")) return;
    try {
      if (::geteuid() != 0) throw Refusal("only root may look into it", "");
      std::vector<std::string> ids;
      Json messages = own_messages(ids);
      if (hold && !ids.empty()) {
        hold_messages(ids);
        remember_held(ids);
        messages = own_messages(ids);
      }
      tell_queue(messages, hold);
    } catch (const Refusal& error) {
      app_.output.note(std::string("queue: ") + error.what());
      good_ = good_ && !hold;
    }
  }

  // For whoever unlocks: what is held stays so until it is told to go.
  void remind_of_held() {
    if (!connection_) return;
    try {
      const mysql::Value login[] = {address_};
      const auto held = connection_->query("SELECT COUNT(*) FROM vmailkit_held WHERE login = ?", login).rows;
      if (held.at(0).at(0) == "0") return;
      done(
          fmt::format("queue: {} messages of the login are on hold: vmailctl limits release {} lets them go, discard "
                      "deletes them",
                      *held[0][0], address_));
    } catch (const mysql::Error&) {
      // An older schema, in which nothing is held.
    }
  }

  int end() {
    app_.output.object(result_);
    return good_ ? 0 : 1;
  }

 private:
  // Its mail goes on.
  void change_state(RuleTable& rules, const User& user) {
    if (lock_) {
      forbid_login(rules, address_);
    } else {
      allow_login(rules, address_);
    }
    const auto states = states_of(rules, address_);
    const bool barred = std::find(states.begin(), states.end(), "no-login") != states.end();
    result_["database"] = barred ? "no-login" : user.enabled ? "on" : "off";
    if (lock_) return done("database: the user is without login; new mail is stored");
    if (barred) return failed(fmt::format("database: its domain has no login: vmailctl user state {} on", address_));
    if (!user.enabled) return failed(fmt::format("database: the user is off: vmailctl user state {} on", address_));
    done("database: the user may log in");
  }

  // An older schema has no states.
  void change_enable(const User& user) {
    const mysql::Value row[] = {lock_ ? "0" : "1", user.id};
    connection_->query("UPDATE virtual_users SET enable = ? WHERE id = ?", row);
    result_["database"] = lock_ ? "off" : "on";
    done(lock_ ? "database: the user is disabled: no login, no new mail" : "database: the user is enabled");
  }

  std::vector<Daemon> installed() const {
    try {
      return daemons_of(app_.settings);
    } catch (const Refusal&) {
      return {};
    }
  }

  // Those in the queue that the login has sent; `ids`: of those that are not on hold.
  Json own_messages(std::vector<std::string>& ids) {
    const auto all = queued_messages();
    ids.clear();
    std::vector<std::string> candidates;
    for (const auto& message : all) candidates.push_back(message.queue_id);
    const auto logins = logins_of(candidates);
    Json own = Json::array();
    for (const auto& message : all) {
      const auto login = logins.find(message.queue_id);
      if (login == logins.end() || !is_of_login(login->second)) continue;
      own.push_back({{"queue_id", message.queue_id}, {"queue", message.queue}, {"sender", message.sender}});
      if (message.queue != "hold") ids.push_back(message.queue_id);
    }
    return own;
  }

  // Without the database it is not known which domains are aliases.
  bool is_of_login(const std::string& typed) {
    try {
      if (catalog_) return is_login(*catalog_, typed, address_);
    } catch (const mysql::Error&) {
      catalog_.reset();
    }
    return parse_address(typed) && sql::address_key(typed).text() == address_;
  }

  // So that `vmailctl limits release` and `discard` know them.
  void remember_held(const std::vector<std::string>& ids) {
    if (!connection_) return;
    try {
      for (const auto& id : ids) {
        const mysql::Value row[] = {directory::host_name(), id, address_, std::to_string(std::time(nullptr))};
        connection_->query(
            "INSERT INTO vmailkit_held (host, queue_id, login, held_at) VALUES (?, ?, ?, CAST(? AS SIGNED))"
            " ON DUPLICATE KEY UPDATE login = VALUES(login), held_at = VALUES(held_at)",
            row);
      }
    } catch (const mysql::Error& error) {
      app_.output.note(
          fmt::format("the held messages were not written down: {}; postsuper -H releases them", error.what()));
    }
  }

  void tell_queue(const Json& messages, bool hold) {
    result_["queue"] = messages;
    const auto held =
        std::count_if(messages.begin(), messages.end(), [](const Json& m) { return m["queue"] == "hold"; });
    const auto left = static_cast<std::ptrdiff_t>(messages.size()) - held;
    done(fmt::format("queue: {} messages of the login, {} of them on hold{}", messages.size(), held,
                     !hold && left > 0 ? "; --hold holds the others" : ""));
    for (const auto& message : messages) {
      done(fmt::format("  {} {} from {}", message["queue_id"].get<std::string>(), message["queue"].get<std::string>(),
                       printable(message["sender"].get<std::string>())));
    }
    if (hold && left > 0) failed(fmt::format("queue: {} messages are not on hold; run this again", left));
  }

  void done(const std::string& what) { app_.output.text(what); }
  void failed(const std::string& what) {
    app_.output.note(what);
    good_ = false;
  }

  const App& app_;
  const std::string address_;
  const bool lock_;
  Json result_;
  bool good_ = true;
  std::unique_ptr<mysql::Connection> connection_;  // once the database has answered
  std::unique_ptr<Catalog> catalog_;
};

}  // namespace

int user_lock(const App& app, const std::string& argument, bool hold) {
  Work work(app, address_key(argument).text(), true);
  work.tell_daemons();
  work.write_database();
  work.end_sessions();
  work.look_at_queue(hold);
  return work.end();
}

int user_unlock(const App& app, const std::string& argument) {
  Work work(app, address_key(argument).text(), false);
  work.tell_daemons();
  work.write_database();
  work.remind_of_held();
  return work.end();
}

}  // namespace vmail::sql
