// pool_probe CONFIG USER PASSWORD
//
// Drives the pools of one process, lookups, background and writes, over the hosts of [database]. Commands, one a line
// on standard input; an answer a line on standard output:
//
//   N ask SQL | N background SQL | N write SQL   -> N found HOST CELL (of the first row) | N temp-fail REASON
//   N stream SQL          in the background      -> N found HOST ROWS BYTES NULLS | N temp-fail REASON
//   N abandon SQL         the same, to its first row
//   N view TABLE          how many rows it has: twice in one view of the database, with a row that is written
//   meanwhile,
//                         and after that         -> N found COUNT COUNT COUNT
//   N load SQL CLIENTS  (SQL without blanks)     that many clients ask all the time, until
//   N rest                                       -> N asked FAILED ANSWERS-ON-HOST HOST... (of what was asked since
//   load) N status                                     -> N HOST answers|silent WAITING
//
// N is any word; it ends with its input, and says then "end".
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
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
  std::size_t rows = 0, bytes = 0, nulls = 0;
  connection.stream(sql, [&](mysql::Connection::Cells cells) {
    ++rows;
    for (const auto& cell : cells) {
      bytes += cell ? cell->size() : 0;
      nulls += cell ? 0 : 1;
    }
  });
  return fmt::format("{} {} {} {}", connection.host().text(), rows, bytes, nulls);
}

std::string abandon(mysql::Connection& connection, const std::string& sql) {
  connection.stream(sql, [](mysql::Connection::Cells) { throw std::runtime_error("that is enough"); });
  return "there was no row";
}

std::string count_in_view(mysql::Connection& connection, const std::string& table, const mysql::Options& options) {
  const auto count = [&] { return *connection.query("SELECT COUNT(*) FROM " + table).rows.at(0).at(0); };
  std::string counts;
  {
    const mysql::ConsistentView view(connection);
    counts = count();
    const auto other = mysql::Connection::open(options, connection.host());
    other->query("INSERT INTO " + table + " VALUES (1)");
    counts += " " + count();
  }
  return counts + " " + count();
}

struct Pools {
  Pools(Loop& its_loop, const Clock& its_clock, const config::Settings& its_settings, mysql::Options its_options)
      : clock(its_clock),
        settings(its_settings),
        options(std::move(its_options)),
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

  using Work = mysql::Pool::Work<std::string>;
  void ask(mysql::Pool& pool, const std::string& number, Duration patience, Work work) {
    pool.ask<std::string>("probe", clock.now() + patience, std::move(work), [number](Outcome<std::string> answer) {
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
    using mysql::Connection;
    const Duration deadline = settings.database.deadline;
    const auto cell = [rest](Connection& connection) { return one_cell(connection, rest); };
    if (command == "ask") {
      ask(lookups, number, deadline, cell);
    } else if (command == "background") {
      ask(background, number, deadline, cell);
    } else if (command == "write") {
      ask(writes, number, deadline, cell);
    } else if (command == "stream") {
      // The load of everything has more time than a lookup.
      ask(background, number, std::chrono::minutes(1), [rest](Connection& c) { return count_rows(c, rest); });
    } else if (command == "abandon") {
      ask(background, number, std::chrono::minutes(1), [rest](Connection& c) { return abandon(c, rest); });
    } else if (command == "view") {
      ask(background, number, std::chrono::minutes(1),
          [this, rest](Connection& connection) { return count_in_view(connection, rest, options); });
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
  const mysql::Options options;
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
