// Proves the direction of dependencies by reading every #include line: who may use what is the table below, and nothing
// else holds.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace {

// One entry: a file of ours or a folder of them (with '/' at the end), by its path from the root. The longest one that
// fits a file is its rule. `ours` is what it may include of ours, besides its own folder.
struct Rule {
  std::string folder;
  std::vector<std::string> ours;
};

const std::vector<Rule>& rules() {
  static const std::vector<std::string> component = {"shared/base/",     "shared/config/",    "shared/runtime/",
                                                     "shared/control/",  "shared/directory/", "shared/daemon/",
                                                     "shared/socketmap/"};
  static const auto with = [](std::vector<std::string> list, const std::vector<std::string>& more) {
    list.insert(list.end(), more.begin(), more.end());
    return list;
  };
  static const std::vector<Rule> table = {
      {"shared/base/", {}},
      {"shared/config/", {"shared/base/"}},
      {"shared/runtime/", {"shared/base/"}},
      {"shared/password/", {"shared/base/"}},
      {"shared/maildir/", {"shared/base/"}},
      {"shared/control/", {"shared/base/"}},
      {"shared/socketmap/", {"shared/base/"}},
      {"shared/mysql/", {"shared/base/", "shared/config/", "shared/runtime/"}},
      {"shared/directory/", {"shared/base/", "shared/config/", "shared/runtime/", "shared/mysql/", "sql/presets/"}},
      {"shared/daemon/", {"shared/base/", "shared/config/", "shared/runtime/", "shared/control/"}},
      {"postfix-maps/", component},
      // A userdb answer names the Maildir, so the rules of its path are needed here too.
      {"dovecot-auth/", with(component, {"shared/password/", "shared/maildir/"})},
      {"dovecot-lmtp-store/", with(component, {"shared/maildir/"})},
      {"sql/",
       {"shared/base/", "shared/config/", "shared/runtime/", "shared/control/", "shared/mysql/", "shared/directory/",
        "shared/password/", "shared/maildir/", "shared/socketmap/"}},
  };
  return table;
}

// Libraries that one folder wraps for all others.
struct Wrapped {
  std::string header;  // how the names of its headers begin
  std::vector<std::string> folders;
};
const std::vector<Wrapped>& wrapped() {
  static const std::vector<Wrapped> table = {
      {"mysql", {"shared/mysql/"}},
      {"mariadb", {"shared/mysql/"}},
      {"errmsg.h", {"shared/mysql/"}},
      {"crypt.h", {"shared/password/"}},
      {"argon2.h", {"shared/password/"}},
      {"intel-ipsec-mb.h", {"shared/password/"}},
      {"toml++/", {"shared/config/"}},
      {"CLI/", {"shared/daemon/", "sql/vmailctl/"}},
      {"systemd/", {"shared/daemon/"}},
      {"sasl/", {"dovecot-auth/sasl/", "dovecot-auth/client/auxprop/"}},
      {"prometheus/", {"shared/runtime/"}},
      {"catch2/", {}},
      {"benchmark/", {}},
  };
  return table;
}

// What is neither the standard library nor libc.
const std::vector<std::string> kThirdParty = {
    "asio",    "fmt/",     "nlohmann/", "openssl/", "idn2.h",           "sasl/",   "prometheus/", "mysql",
    "mariadb", "errmsg.h", "crypt.h",   "argon2.h", "intel-ipsec-mb.h", "toml++/", "CLI/",        "systemd/"};
// Effects: no codec has a descriptor, a file, a thread or a clock.
const std::vector<std::string> kEffects = {"unistd.h", "fcntl.h", "poll.h",   "sys/",      "netinet/",  "arpa/",
                                           "netdb.h",  "fstream", "iostream", "cstdio",    "thread",    "mutex",
                                           "chrono",   "ctime",   "syslog.h", "pthread.h", "filesystem"};

bool begins(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}
bool begins_with_one(const std::string& text, const std::vector<std::string>& starts) {
  return std::any_of(starts.begin(), starts.end(), [&](const auto& start) { return begins(text, start); });
}

struct File {
  std::vector<std::string> ours;    // "..."
  std::vector<std::string> system;  // <...>
};
using Tree = std::map<std::string, File>;

bool is_codec(const std::string& path) {
  return path.find("codec") != std::string::npos || begins(path, "dovecot-lmtp-store/lmtp/") ||
         begins(path, "dovecot-auth/wire/");
}

// Everything of ours that `path` includes, itself too, however many steps away.
std::set<std::string> reachable(const Tree& tree, const std::string& path) {
  std::set<std::string> seen;
  std::vector<std::string> next = {path};
  while (!next.empty()) {
    const std::string at = next.back();
    next.pop_back();
    const auto file = tree.find(at);
    if (!seen.insert(at).second || file == tree.end()) continue;
    next.insert(next.end(), file->second.ours.begin(), file->second.ours.end());
  }
  return seen;
}

std::vector<std::string> violations(const Tree& tree) {
  std::vector<std::string> found;
  std::map<std::string, std::vector<std::string>> users_of;  // toml++ and CLI11, by program
  for (const auto& [path, file] : tree) {
    const auto complain = [&, &where = path](const std::string& header, const char* why) {
      found.push_back(where + " includes " + header + ": " + why);
    };
    const Rule* rule = nullptr;
    for (const auto& candidate : rules()) {
      if (begins(path, candidate.folder)) rule = &candidate;
    }
    if (rule == nullptr) {
      found.push_back(path + ": its folder has no rule; add it to the table");
      continue;
    }
    for (const auto& header : file.ours) {
      if (begins(header, "tests/")) {
        complain(header, "no program uses the tests");
      } else if (!begins(header, rule->folder) && !begins_with_one(header, rule->ours)) {
        complain(header, "against the direction, or not named from the root");
      }
    }
    for (const auto& header : file.system) {
      for (const auto& library : wrapped()) {
        if (begins(header, library.header) && !begins_with_one(path, library.folders)) {
          complain(header, "another folder wraps that library");
        }
      }
      if (begins(path, "shared/base/") && begins_with_one(header, kThirdParty)) {
        complain(header, "base is made of the standard library");
      }
      if (begins(header, "toml++/")) users_of["toml++"].push_back(path);
      if (begins(header, "CLI/")) users_of["CLI11 in " + rule->folder].push_back(path);
    }
    if (is_codec(path)) {
      for (const auto& header : file.system) {
        if (begins_with_one(header, kThirdParty) || begins_with_one(header, kEffects)) {
          complain(header, "a codec has the standard library and no effects");
        }
      }
      for (const auto& header : file.ours) {
        if (!begins(header, "shared/") && !is_codec(header) && !begins(header, path.substr(0, path.rfind('/')))) {
          complain(header, "a codec has shared/base alone");
        }
      }
      for (const auto& header : reachable(tree, path)) {
        if (begins(header, "shared/") && !begins(header, "shared/base/") && !is_codec(header)) {
          complain(header, "a codec has shared/base alone");
        }
      }
    }
    // What runs inside other programs: libc, of which every header ends in ".h".
    if (path.find("/client/") != std::string::npos) {
      for (const auto& header : reachable(tree, path)) {
        if (begins(header, "shared/")) complain(header, "a client has libc alone");
        const auto at = tree.find(header);
        if (at == tree.end()) continue;
        for (const auto& system : at->second.system) {
          const bool is_libc = system.size() > 2 && system.substr(system.size() - 2) == ".h";
          // The plugin for libsasl2 has the interface of who loads it.
          if (begins(path, "dovecot-auth/client/auxprop/") && begins(system, "sasl/")) continue;
          if (!is_libc || begins_with_one(system, kThirdParty)) complain(system, "a client has libc alone");
        }
      }
    }
  }
  for (const auto& [library, users] : users_of) {
    if (users.size() > 1) found.push_back(library + ": in more than one file: " + users[0] + ", " + users[1]);
  }
  return found;
}

File read_file(const std::filesystem::path& path) {
  File file;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    auto at = line.find_first_not_of(" \t");
    if (at == std::string::npos || line[at] != '#') continue;
    at = line.find_first_not_of(" \t", at + 1);
    if (at == std::string::npos || line.compare(at, 7, "include") != 0) continue;
    const auto open = line.find_first_of("<\"", at);
    if (open == std::string::npos) continue;
    const auto close = line.find(line[open] == '<' ? '>' : '"', open + 1);
    (line[open] == '<' ? file.system : file.ours).push_back(line.substr(open + 1, close - open - 1));
  }
  return file;
}

Tree read_tree() {
  const std::filesystem::path root = VMAILKIT_SOURCE_DIR;
  Tree tree;
  for (const char* folder : {"shared", "postfix-maps", "dovecot-auth", "dovecot-lmtp-store", "sql"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc" && extension != ".c") continue;
      tree[std::filesystem::relative(entry.path(), root).string()] = read_file(entry.path());
    }
  }
  return tree;
}

}  // namespace

TEST_CASE("includes go in one direction only") {
  const Tree tree = read_tree();
  for (const auto& violation : violations(tree)) FAIL_CHECK(violation);

  // That the reading works at all.
  CHECK(tree.size() > 50);
  REQUIRE(tree.count("shared/base/outcome.h") == 1);
  const auto& codec = tree.at("shared/socketmap/codec.cc");
  CHECK(codec.ours == std::vector<std::string>{"shared/socketmap/codec.h"});
  CHECK(std::find(codec.system.begin(), codec.system.end(), "algorithm") != codec.system.end());
}

TEST_CASE("a wrong include is seen") {
  const struct {
    const char* what;
    Tree tree;
  } cases[] = {
      {"base on runtime", {{"shared/base/a.h", {{"shared/runtime/loop.h"}, {}}}}},
      {"base on fmt", {{"shared/base/a.h", {{}, {"fmt/format.h"}}}}},
      {"runtime on config", {{"shared/runtime/a.h", {{"shared/config/config.h"}, {}}}}},
      {"directory on daemon", {{"shared/directory/a.h", {{"shared/daemon/daemon.h"}, {}}}}},
      {"daemon on directory", {{"shared/daemon/a.h", {{"shared/directory/directory.h"}, {}}}}},
      {"a component on another", {{"postfix-maps/a.h", {{"dovecot-auth/login.h"}, {}}}}},
      {"a component on mysql", {{"postfix-maps/a.h", {{"shared/mysql/connection.h"}, {}}}}},
      {"maps on password", {{"postfix-maps/a.h", {{"shared/password/password.h"}, {}}}}},
      {"the store on password", {{"dovecot-lmtp-store/a.h", {{"shared/password/password.h"}, {}}}}},
      {"vmailctl on daemon", {{"sql/vmailctl/a.h", {{"shared/daemon/daemon.h"}, {}}}}},
      {"shared on a component", {{"shared/daemon/a.h", {{"postfix-maps/maps.h"}, {}}}}},
      {"a name that is not from the root", {{"postfix-maps/a.h", {{"maps.h"}, {}}}}},
      {"tests", {{"postfix-maps/a.h", {{"tests/support/catch.h"}, {}}}}},
      {"mysql.h elsewhere", {{"shared/directory/a.cc", {{}, {"mysql.h"}}}}},
      {"mysql/mysql.h elsewhere", {{"sql/vmailctl/a.cc", {{}, {"mysql/mysql.h"}}}}},
      {"crypt.h elsewhere", {{"dovecot-auth/a.cc", {{}, {"crypt.h"}}}}},
      {"prometheus elsewhere", {{"shared/daemon/a.cc", {{}, {"prometheus/registry.h"}}}}},
      {"toml++ elsewhere", {{"sql/vmailctl/a.cc", {{}, {"toml++/toml.h"}}}}},
      {"toml++ twice",
       {{"shared/config/a.cc", {{}, {"toml++/toml.h"}}}, {"shared/config/b.cc", {{}, {"toml++/toml.h"}}}}},
      {"CLI11 in a component", {{"postfix-maps/a.cc", {{}, {"CLI/CLI.hpp"}}}}},
      {"CLI11 twice", {{"sql/vmailctl/a.cc", {{}, {"CLI/CLI.hpp"}}}, {"sql/vmailctl/b.cc", {{}, {"CLI/App.hpp"}}}}},
      {"a codec on runtime", {{"postfix-maps/policy/codec.cc", {{"shared/runtime/log.h"}, {}}}}},
      {"a codec on its session", {{"dovecot-auth/verify/codec.cc", {{"dovecot-auth/login.h"}, {}}}}},
      {"a codec on fmt", {{"dovecot-lmtp-store/lmtp/reply.cc", {{}, {"fmt/format.h"}}}}},
      {"a codec on sockets", {{"dovecot-lmtp-store/lmtp/reply.cc", {{}, {"sys/socket.h"}}}}},
      {"a codec on runtime by way of a neighbour",
       {{"postfix-maps/socketmap/codec.cc", {{"postfix-maps/socketmap/x.h"}, {}}},
        {"postfix-maps/socketmap/x.h", {{"shared/runtime/log.h"}, {}}}}},
      {"a client on C++", {{"dovecot-auth/client/a.cc", {{}, {"string"}}}}},
      {"sasl elsewhere", {{"dovecot-auth/a.cc", {{}, {"sasl/sasl.h"}}}}},
      {"a client on base", {{"dovecot-auth/client/a.cc", {{"shared/base/text.h"}, {}}}}},
      {"a client on C++ by way of a neighbour",
       {{"dovecot-auth/client/a.cc", {{"dovecot-auth/wire/tabs.h"}, {}}},
        {"dovecot-auth/wire/tabs.h", {{}, {"string"}}}}},
      {"a folder without a rule", {{"shared/new/a.h", {{}, {}}}}},
  };
  for (const auto& test : cases) {
    CAPTURE(test.what);
    CHECK(violations(test.tree).size() == 1);
  }
}
