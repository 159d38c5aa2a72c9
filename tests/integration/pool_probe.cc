// pool_probe CONFIG USER PASSWORD
//
// Drives the pools of one process, lookups, background and writes, over the hosts of [database]. Commands, one a line
// on standard input; an answer a line on standard output:
//
//   N ask SQL | N background SQL | N write SQL   -> N found HOST CELL (of the first row) | N temp-fail REASON
//   N stream SQL                                 -> N found HOST ROWS | N temp-fail REASON
//   N load SQL CLIENTS  (SQL without blanks)     that many clients ask all the time, until
//   N rest                                       -> N asked FAILED ANSWERS-ON-HOST HOST... (of what was asked since
//   load) N status                                     -> N HOST answers|silent WAITING
//
// N is any word; it ends with its input, and says then "end".
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>

#include "shared/base/clock.h"
#include "shared/config/config.h"
#include "shared/mysql/hosts.h"
#include "shared/mysql/pool.h"
#include "shared/mysql/prober.h"
#include "shared/runtime/log.h"
#include "shared/runtime/loop.h"

namespace {

using namespace vmail;

std::string one_cell(mysql::Connection& connection, const std::string& sql) {
  const auto result = connection.query(sql);
  std::string text = connection.host().text();
  if (!result.rows.empty()) text += " " + result.rows[0].at(0).value_or("NULL");
  return text;
}

std::string count_rows(mysql::Connection& connection, const std::string& sql) {
  const mysql::ConsistentView view(connection);
  std::size_t rows = 0;
  connection.stream(sql, [&](mysql::Connection::Cells) { ++rows; });
  return connection.host().text() + " " + std::to_string(rows);
}

struct Pools {
  explicit Pools(Loop& its_loop, const Clock& its_clock, const config::Settings& its_settings, mysql::Options options)
      : clock(its_clock),
        settings(its_settings),
        hosts(std::make_shared<mysql::Hosts>(clock, options.hosts, options.user, mysql::rules_from(settings))),
        write_hosts(
            std::make_shared<mysql::Hosts>(clock, options.write_hosts, options.user, mysql::rules_from(settings))),
        prober(its_loop, clock, hosts, options.copy()),
        lookups(its_loop, clock, hosts, options.copy(), limits(settings.database.connections, false)),
        background(its_loop, clock, hosts, options.copy(), limits(2, false)),
        writes(its_loop, clock, write_hosts, options.copy(), limits(1, true)) {}

  static mysql::Pool::Limits limits(std::size_t threads, bool writes) {
    mysql::Pool::Limits limits;
    limits.threads = threads;
    limits.writes = writes;
    return limits;
  }

  void ask(mysql::Pool& pool, const std::string& number, const std::string& sql, bool stream) {
    // The load of everything has more time than a lookup.
    const Duration patience = stream ? std::chrono::minutes(1) : Duration(settings.database.deadline);
    pool.ask<std::string>(
        "probe", clock.now() + patience,
        [sql, stream](mysql::Connection& connection) {
          return stream ? count_rows(connection, sql) : one_cell(connection, sql);
        },
        [number](Outcome<std::string> answer) {
          std::cout << number << (answer.is_found() ? " found " + answer.value() : " temp-fail " + answer.reason())
                    << std::endl;
        });
  }

  void go_on(const std::string& sql) {
    lookups.ask<std::string>(
        "load", clock.now() + Duration(settings.database.deadline),
        [sql](mysql::Connection& connection) {
          connection.query(sql);
          return connection.host().text();
        },
        [this, sql](Outcome<std::string> answer) {
          ++asked;
          if (answer.is_found()) ++by_host[answer.value()];
          if (!answer.is_found() && ++failed <= 10) log::error("load: {}", answer.reason());
          if (loaded) go_on(sql);
        });
  }

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string number, command, rest;
    words >> number >> command;
    if (command == "load") {
      std::size_t clients = 0;
      words >> rest >> clients;
      loaded = true;
      asked = failed = 0;
      by_host.clear();
      for (; clients > 0; --clients) go_on(rest);
      return;
    }
    std::getline(words >> std::ws, rest);
    if (command == "ask" || command == "background" || command == "write" || command == "stream") {
      ask(command == "ask" ? lookups : command == "write" ? writes : background, number, rest, command == "stream");
    } else if (command == "rest") {
      loaded = false;
    } else if (command == "loaded") {
      std::cout << number << " " << asked << " " << failed;
      for (const auto& [host, count] : by_host) std::cout << " " << count << " " << host;
      std::cout << std::endl;
    } else if (command == "status") {
      const auto status = hosts->status();
      std::cout << number << " " << status.host << (status.answers ? " answers " : " silent ") << lookups.waiting()
                << std::endl;
    } else {
      std::cout << number << " unknown command" << std::endl;
    }
  }

  void stop() {
    loaded = false;
    prober.stop();
    lookups.stop();
    background.stop();
    writes.stop();
  }

  const Clock& clock;
  const config::Settings& settings;
  std::shared_ptr<mysql::Hosts> hosts, write_hosts;
  mysql::Prober prober;
  mysql::Pool lookups, background, writes;
  bool loaded = false;
  std::uint64_t asked = 0, failed = 0;
  std::map<std::string, std::uint64_t> by_host;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: pool_probe CONFIG USER PASSWORD\n");
    return 2;
  }
  log::open("pool_probe", log::Target::Stderr);
  try {
    const auto settings = config::load(argv[1]);
    const SystemClock clock;
    Loop loop;
    Pools pools(loop, clock, settings, mysql::options_from(settings, argv[2], Secret(argv[3])));
    std::thread input([&] {
      std::string line;
      while (std::getline(std::cin, line)) {
        loop.post([&pools, line] { pools.obey(line); });
      }
      loop.post([&] {
        pools.stop();
        loop.stop();
      });
    });
    loop.run();
    input.join();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pool_probe: %s\n", error.what());
    return 1;
  }
  std::cout << "end" << std::endl;
  return 0;
}
