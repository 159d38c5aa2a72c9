// directory_probe CONFIG USER PASSWORD
//
// Questions to a Directory over a real database, one a line on standard input; an answer a line on standard output:
//
//   N domain NAME | N mailbox ADDRESS | N fresh ADDRESS | N aliases ADDRESS | N credentials LOGIN
//   | N rule KIND ADDRESS | N expansion ADDRESS | N owners ADDRESS
//     -> N found VALUE | N not-found | N disabled | N temp-fail REASON
//   flush [KEY...] | use APP-PASSWORD IP | rehash LOGIN BEFORE AFTER | keys LOGIN HASH KEYS
//
// N is any word; answers come in the order in which they are found. It ends with its input, and says then "end".
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>

#include "shared/base/clock.h"
#include "shared/config/config.h"
#include "shared/directory/directory.h"
#include "shared/runtime/log.h"
#include "shared/runtime/loop.h"

namespace {

using namespace vmail;
using namespace vmail::directory;

std::string value_text(DomainKind kind) {
  return kind == DomainKind::Own ? "own" : kind == DomainKind::Relay ? "relay" : "alias";
}
std::string value_text(const Mailbox& mailbox) {
  return mailbox.address() + " " + mailbox.extension;
}
std::string value_text(const Access& access) {
  return "[" + access.services + "|" + access.networks + "|" + std::to_string(access.not_before) + "|" +
         std::to_string(access.not_after) + "]";
}
// What does not limit is left out.
std::string value_text(const Credentials& credentials) {
  std::string text = credentials.mailbox.address() + " " + credentials.hash.text();
  if (!(credentials.access == Access{})) text += " " + value_text(credentials.access);
  if (!credentials.scram.empty()) text += " scram=" + credentials.scram.text();
  if (credentials.app_passwords_only) text += " app-passwords-only";
  for (const auto& password : credentials.app_passwords) {
    text += " app=" + std::to_string(password.id) + "," + password.selector + "," + password.label + "," +
            password.hash.text() + value_text(password.access);
  }
  return text;
}
std::string value_text(const AddressList& destinations) {
  std::string text;
  for (const auto destination : destinations) text.append(text.empty() ? "" : ",").append(destination);
  return text;
}

std::string value_text(const Expansion& ends) {
  std::string text;
  const auto add = [&](const char* what, const std::string& address) {
    text.append(text.empty() ? "" : " ").append(what).append(address);
  };
  for (const auto& mailbox : ends.mailboxes) add("", mailbox.address());
  for (const auto& address : ends.elsewhere) add("elsewhere:", address);
  for (const auto& address : ends.dead_ends) add("dead:", address);
  for (const auto& address : ends.loop) add("loop:", address);
  return text + (ends.too_many ? " too-many" : "");
}

template <class T>
void print(const std::string& number, const Outcome<T>& outcome) {
  switch (outcome.status()) {
    case Status::Found:
      std::cout << number << " found " << value_text(outcome.value()) << std::endl;
      break;
    case Status::NotFound:
      std::cout << number << " not-found" << std::endl;
      break;
    case Status::Disabled:
      std::cout << number << " disabled" << std::endl;
      break;
    case Status::TempFail:
      std::cout << number << " temp-fail " << outcome.reason() << std::endl;
      break;
  }
}

template <class T>
Later<T> printer(const std::string& number) {
  return [number](Outcome<T> outcome) { print(number, outcome); };
}

template <class T>
void settle(const std::string& number, Answer<T> answer) {
  if (answer) print(number, *answer);
}

void obey(Directory& directory, const std::string& line) {
  std::istringstream words(line);
  std::string number, question, key;
  words >> number;
  if (number == "flush") {
    std::vector<std::string> keys;
    while (words >> key) keys.push_back(key);
    directory.flush(keys);
    return;
  }
  if (number == "use") {
    std::uint64_t id = 0;
    words >> id >> key;
    directory.note_use(id, key);
    return;
  }
  if (number == "rehash" || number == "keys") {
    std::string before, after;
    words >> key >> before >> after;
    number == "rehash" ? directory.replace_hash(key, Secret(before), Secret(after))
                       : directory.keep_scram(key, Secret(before), Secret(after));
    return;
  }
  words >> question;
  std::string kind;
  if (question == "rule") words >> kind;
  std::getline(words >> std::ws, key);
  if (question == "domain") {
    settle(number, directory.domain(key, printer<DomainKind>(number)));
  } else if (question == "mailbox") {
    settle(number, directory.mailbox(key, Freshness::Cached, printer<Mailbox>(number)));
  } else if (question == "fresh") {
    settle(number, directory.mailbox(key, Freshness::FreshForRefusal, printer<Mailbox>(number)));
  } else if (question == "aliases") {
    settle(number, directory.aliases(key, printer<AddressList>(number)));
  } else if (question == "credentials") {
    settle(number, directory.credentials(key, Freshness::Cached, printer<Credentials>(number)));
  } else if (question == "rule" && rule_kind(kind)) {
    settle(number, directory.rule(*rule_kind(kind), key, printer<AddressList>(number)));
  } else if (question == "expansion") {
    settle(number, directory.expansion(key, Freshness::Cached, printer<Expansion>(number)));
  } else if (question == "owners") {
    settle(number, directory.owners(key, printer<AddressList>(number)));
  } else {
    std::cout << number << " unknown question" << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: directory_probe CONFIG USER PASSWORD\n");
    return 2;
  }
  log::open("directory_probe", log::Target::Stderr);
  try {
    const auto settings = config::load(argv[1]);
    const SystemClock clock;
    Loop loop;
    Options options;
    options.database_user = argv[2];
    options.database_password = Secret(argv[3]);
    options.rules = true;
    Directory directory(loop, clock, settings, std::move(options));
    std::thread input([&] {
      std::string line;
      while (std::getline(std::cin, line)) {
        loop.post([&directory, line] { obey(directory, line); });
      }
      loop.post([&] {
        directory.stop();
        loop.stop();
      });
    });
    loop.run();
    input.join();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "directory_probe: %s\n", error.what());
    return 1;
  }
  std::cout << "end" << std::endl;
  return 0;
}
