// The parts of rule_checks.h that look at nothing but a text.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "shared/base/text.h"
#include "shared/config/limit.h"
#include "sql/vmailctl/rule_checks.h"

namespace vmail::sql {
namespace {

bool is_word(std::string_view text, std::string_view more) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  });
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// The actions of access(5), with what may or must follow.
enum class Rest { Nothing, Text, Address, Transport, Header };
struct Action {
  std::string_view word;
  Rest rest;
};
constexpr std::array<Action, 14> kActions = {{{"OK", Rest::Nothing},
                                              {"DUNNO", Rest::Nothing},
                                              {"REJECT", Rest::Text},
                                              {"DEFER", Rest::Text},
                                              {"DEFER_IF_REJECT", Rest::Text},
                                              {"DEFER_IF_PERMIT", Rest::Text},
                                              {"HOLD", Rest::Text},
                                              {"DISCARD", Rest::Text},
                                              {"WARN", Rest::Text},
                                              {"INFO", Rest::Text},
                                              {"BCC", Rest::Address},
                                              {"REDIRECT", Rest::Address},
                                              {"FILTER", Rest::Transport},
                                              {"PREPEND", Rest::Header}}};

// "550 text": a refusal of Postfix's own words.
bool is_code(std::string_view word) {
  return word.size() == 3 && (word[0] == '4' || word[0] == '5') && parse_number(word).has_value();
}

}  // namespace

std::string why_not_a_next_hop(std::string_view text) {
  if (text.empty() || has_control(text) || text.find_first_of(" ,") != std::string_view::npos) {
    return "a host like relay.example, [relay.example] or [192.0.2.1]:587 is expected";
  }
  std::string_view host = text, port;
  if (text.front() == '[') {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return "a ']' is missing";
    host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && port.front() != ':') return "only :PORT may follow the ']'";
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon);
  }
  const bool bracketed = text.front() == '[';
  if (!is_word(host, bracketed ? ".-:_" : ".-_") || host.front() == '.' || host.front() == '-' ||
      host.find("..") != std::string_view::npos) {
    return "'" + printable(host) + "' is no host";
  }
  if (port.empty()) return {};
  port.remove_prefix(1);
  const auto number = parse_number(port);
  if (number ? *number >= 1 && *number <= 65535 : is_word(port, "-")) return {};
  return "'" + printable(port) + "' is no port";
}

std::string why_not_a_transport(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) {
    return "it is transport:nexthop, such as smtp:[relay.example]:25, or ':' for no transport of its own";
  }
  if (has_control(text)) return "it has control characters";
  const std::string_view name = text.substr(0, colon);
  std::string_view next_hop = text.substr(colon + 1);
  if (!name.empty() && !is_word(name, "_-.")) return "'" + printable(name) + "' is no transport of master.cf";
  // Their next hop is a text for the sender.
  if (next_hop.empty() || name == "error" || name == "retry" || name == "discard") return {};
  if (next_hop.starts_with("unix:")) return next_hop.size() > 5 ? "" : "a path is to follow unix:";
  if (next_hop.starts_with("inet:")) next_hop.remove_prefix(5);
  return why_not_a_next_hop(next_hop);
}

std::string why_not_a_size(std::string_view text) {
  const auto size = config::parse_size(text);
  if (!size) return "it is a number of bytes, or one with K, M, G or T, such as 500M; 0: no limit";
  return *size <= std::uint64_t{1} << 60 ? "" : "it is more than any disk holds";
}

std::string why_not_a_quota(std::string_view text) {
  if (config::parse_quota(text)) return {};
  return "it is a size such as 5G, a number of messages such as '10000 messages', or both, '5G 10000 messages'; 0: no "
         "quota";
}

std::string why_not_an_action(std::string_view text, bool ours, std::string& address) {
  if (has_control(text)) return "it has control characters";
  const auto blank = text.find(' ');
  const std::string_view word = text.substr(0, blank);
  const std::string_view rest = blank == std::string_view::npos ? std::string_view() : trim(text.substr(blank));
  if (is_code(word)) return rest.empty() ? "a text is to follow the code" : "";
  const auto action = std::find_if(kActions.begin(), kActions.end(),
                                   [&](const Action& each) { return equal_ignoring_ascii_case(each.word, word); });
  if (action == kActions.end()) {
    std::string known;
    for (const auto& each : kActions) known.append(each.word).append(", ");
    return "the actions are " + known + "or a code like 550 with a text";
  }
  if (action->word == "OK" && !ours) {
    return "OK for recipients that are not ours would let anybody send to them through this server: an open relay";
  }
  switch (action->rest) {
    case Rest::Nothing:
      return rest.empty() ? "" : "nothing follows " + std::string(action->word);
    case Rest::Text:
      return {};
    case Rest::Address:
      address = rest;
      return rest.empty() ? "an address is to follow" : "";
    case Rest::Transport:
      return why_not_a_transport(rest);
    case Rest::Header:
      return rest.find(": ") == std::string_view::npos ? "a header like 'X-Seen: yes' is to follow" : "";
  }
  return {};
}

}  // namespace vmail::sql
