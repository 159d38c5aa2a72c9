// feed_probe CONFIG USER PASSWORD
//
// Reads the change feed of a real database, as a daemon does, but when it is told to. Commands, one a line on standard
// input; what comes of each are lines on standard output, the last of them a dot:
//
//   poll            until nothing more is there: "followed", "gap REASON" or "unavailable REASON" for each answer, with
//                   "address KEY" or "domain NAME" for each change; "failed REASON" when the database does not answer
//   later SECONDS   for the feed that much time passes
//   restart         goes on as from a snapshot
//   prune           "more" or "done"
//   everything      "domain NAME" and "row KEY MAILBOX DESTINATION,..." for all there are, or "failed REASON"
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "shared/base/clock.h"
#include "shared/config/config.h"
#include "shared/directory/feed.h"
#include "shared/directory/sql_database.h"
#include "shared/runtime/log.h"
#include "shared/runtime/loop.h"

namespace {

using namespace vmail;
using namespace vmail::directory;

class Probe {
 public:
  Probe(const config::Settings& settings, const char* user, const char* password)
      : database_(open(settings, user, password)) {}

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "poll") {
      poll();
    } else if (command == "later") {
      int seconds = 0;
      words >> seconds;
      later_ += std::chrono::seconds(seconds);
    } else if (command == "restart") {
      feed_ = Feed(feed_.position());
    } else if (command == "prune") {
      ask<bool>([&](auto deadline, auto done) { database_->prune(deadline, std::move(done)); },
                [](const bool& more) { std::cout << (more ? "more\n" : "done\n"); });
    } else if (command == "everything") {
      ask<Everything>([&](auto deadline, auto done) { database_->everything(64u << 20, deadline, std::move(done)); },
                      print_everything);
    }
    std::cout << '.' << std::endl;
  }
  void stop() { database_->stop(); }

 private:
  std::unique_ptr<SqlDatabase> open(const config::Settings& settings, const char* user, const char* password) {
    auto options = mysql::options_from(settings, user, Secret(password));
    auto hosts = std::make_shared<mysql::Hosts>(clock_, options.hosts, options.user, mysql::rules_from(settings));
    return std::make_unique<SqlDatabase>(loop_, clock_, std::move(hosts), std::move(options), mysql::Pool::Limits{},
                                         Preset::built_in(settings.directory.preset), false);
  }

  // Runs the loop until the answer is there.
  template <class T>
  void ask(const std::function<void(Instant, Database::Done<T>)>& question, const std::function<void(const T&)>& take) {
    bool answered = false;
    question(clock_.now() + std::chrono::seconds(60), [&](const Outcome<T>& outcome) {
      answered = true;
      if (outcome.is_found()) {
        take(outcome.value());
      } else {
        std::cout << "failed " << outcome.reason() << '\n';
      }
      loop_.stop();
    });
    while (!answered) {
      loop_.io().restart();
      loop_.run();
    }
  }

  void poll() {
    bool more = true;
    while (std::exchange(more, false)) {
      ask<FeedAnswer>(
          [&](auto deadline, auto done) {
            database_->changes(feed_.question(clock_.now() + later_), deadline, std::move(done));
          },
          [&](const FeedAnswer& answer) {
            const auto result = feed_.take(answer, clock_.now() + later_, clock_.wall() + later_);
            print(result);
            more = result.more;
          });
    }
  }

  static void print(const Feed::Result& result) {
    using Kind = Feed::Result::Kind;
    if (result.kind == Kind::Followed) std::cout << "followed\n";
    if (result.kind == Kind::Gap) std::cout << "gap " << result.reason << '\n';
    if (result.kind == Kind::Unavailable) std::cout << "unavailable " << result.reason << '\n';
    for (const auto& change : result.changes) {
      constexpr const char* kWords[] = {"address ", "domain ", "rules "};
      std::cout << kWords[static_cast<std::size_t>(change.kind)] << change.key << '\n';
    }
  }
  static void print_everything(const Everything& everything) {
    everything.domains->each(
        [](const std::string& name, const Domains::Entry&) { std::cout << "domain " << name << '\n'; });
    everything.rows->each([](std::string_view key, const AddressRow& row) {
      std::cout << "row " << key << ' ' << static_cast<int>(row.mailbox) << ' ';
      const char* separator = "";
      for (const auto destination : row.destinations) {
        std::cout << separator << destination;
        separator = ",";
      }
      std::cout << row.fault << '\n';
      return true;
    });
  }

  SystemClock clock_;
  Loop loop_;
  std::unique_ptr<SqlDatabase> database_;
  Feed feed_;
  std::chrono::seconds later_{0};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: feed_probe CONFIG USER PASSWORD\n");
    return 2;
  }
  log::open("feed_probe", log::Target::Stderr);
  try {
    Probe probe(config::load(argv[1]), argv[2], argv[3]);
    std::string line;
    while (std::getline(std::cin, line)) probe.obey(line);
    probe.stop();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "feed_probe: %s\n", error.what());
    return 1;
  }
  return 0;
}
