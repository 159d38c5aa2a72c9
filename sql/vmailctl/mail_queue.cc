#include "sql/vmailctl/mail_queue.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "shared/base/text.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

constexpr std::size_t kAtOnce = 50;  // messages that one run of a program is given

// Whether it can be the name of a message and nothing else: it goes to programs as an argument.
bool is_queue_id(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  });
}

// Calls `each` with so many of them at a time.
template <class F>
void in_parts(const std::vector<std::string>& queue_ids, F each) {
  std::vector<std::string> part;
  for (const auto& id : queue_ids) {
    if (is_queue_id(id)) part.push_back(id);
    if (part.size() == kAtOnce) each(std::exchange(part, {}));
  }
  if (!part.empty()) each(part);
}

// From what postcat shows: before each message "*** ENVELOPE RECORDS deferred/3F2A81C0D3 ***".
void read_logins(const std::string& shown, std::map<std::string, std::string>& logins) {
  constexpr std::string_view kBegin = "*** ENVELOPE RECORDS ";
  constexpr std::string_view kLogin = "named_attribute: sasl_username=";
  std::string queue_id;
  for (const auto& whole : split(shown, '\n')) {
    const std::string_view line = whole;
    if (line.starts_with(kBegin)) {
      const auto name = line.substr(0, line.rfind(" ***"));
      queue_id = name.substr(name.find_last_of("/ ") + 1);
    } else if (line.starts_with(kLogin)) {
      logins.emplace(queue_id, line.substr(kLogin.size()));
    }
  }
}

}  // namespace

std::vector<QueuedMessage> queued_messages() {
  const Ran ran = run_program({"postqueue", "-j"});
  if (ran.status != 0) throw Refusal("the queue cannot be read: " + ran.complaint(), "");
  std::vector<QueuedMessage> messages;
  for (const auto& line : split(ran.output, '\n')) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object()) continue;
    messages.push_back({entry.value("queue_id", ""), entry.value("queue_name", ""), entry.value("sender", "")});
  }
  return messages;
}

std::map<std::string, std::string> logins_of(const std::vector<std::string>& queue_ids) {
  std::map<std::string, std::string> logins;
  const auto show = [&](const std::vector<std::string>& ids) {
    std::vector<std::string> arguments = {"postcat", "-qe"};
    arguments.insert(arguments.end(), ids.begin(), ids.end());
    const Ran seen = run_program(arguments);
    read_logins(seen.output, logins);
    return seen.status == 0;
  };
  in_parts(queue_ids, [&](const std::vector<std::string>& ids) {
    if (show(ids) || ids.size() == 1) return;
    // It ends at the first message that has left the queue meanwhile.
    for (const auto& id : ids) show({id});
  });
  return logins;
}

void hold_messages(const std::vector<std::string>& queue_ids) {
  in_parts(queue_ids, [](const std::vector<std::string>& ids) {
    std::vector<std::string> arguments = {"postsuper"};
    for (const auto& id : ids) arguments.insert(arguments.end(), {"-h", id});
    run_program(arguments);
  });
}

Ran settle_message(const char* flag, const std::string& queue_id) {
  return run_program({"postsuper", flag, queue_id, "hold"});
}

}  // namespace vmail::sql
