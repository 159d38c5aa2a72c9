#include "dovecot-lmtp-store/lmtp/command.h"

#include <algorithm>
#include <array>
#include <vector>

#include "shared/base/text.h"

namespace vmail::lmtp {
namespace {

// RFC 5321 section 4.5.3.1.3 allows 256; more in UTF-8 is generous, and a header line of 998 still holds it.
constexpr std::size_t kMaxPath = 512;
constexpr std::size_t kMaxName = 255;
// Postfix's long queue ids have 12 to 16 characters.
constexpr std::size_t kMaxIdent = 64;

struct Word {
  std::string_view text;
  Verb verb;
};
constexpr std::array<Word, 14> kVerbs = {{{"LHLO", Verb::Lhlo},
                                          {"HELO", Verb::Helo},
                                          {"EHLO", Verb::Helo},
                                          {"MAIL", Verb::Mail},
                                          {"RCPT", Verb::Rcpt},
                                          {"DATA", Verb::Data},
                                          {"BDAT", Verb::Bdat},
                                          {"RSET", Verb::Rset},
                                          {"NOOP", Verb::Noop},
                                          {"VRFY", Verb::Vrfy},
                                          {"HELP", Verb::Help},
                                          {"QUIT", Verb::Quit},
                                          {"STARTTLS", Verb::StartTls},
                                          {"XFORWARD", Verb::XForward}}};

Reply bad_syntax(const char* text) {
  return {501, "5.5.4", text};
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// What a dot-string or a domain may hold, generously: Postfix quotes what needs quotes, and an odd address is refused
// by the look-up, not by the syntax.
bool is_plain(char c) {
  constexpr std::string_view kSpecial = "<>()[]\\,;:@\"";
  return !is_control(c) && c != ' ' && kSpecial.find(c) == std::string_view::npos;
}

std::size_t count_plain(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
}

// Length of a quoted string with its quotes; 0 when there is none.
std::size_t count_quoted(std::string_view text) {
  if (text.empty() || text.front() != '"') return 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      if (++i == text.size()) return 0;
    } else if (text[i] == '"') {
      return i + 1;
    }
    if (is_control(text[i])) return 0;
  }
  return 0;
}

std::size_t count_domain(std::string_view text) {
  if (text.empty() || text.front() != '[') return count_plain(text);
  const auto end = text.find(']');
  if (end == std::string_view::npos) return 0;
  for (const char c : text.substr(1, end - 1)) {
    if (!is_plain(c) && c != ':') return 0;
  }
  return end + 1;
}

// Takes "<path>" off the front of `text`; nothing when it is none.
std::optional<std::string> take_path(std::string_view& text) {
  if (text.empty() || text.front() != '<') return std::nullopt;
  std::string_view rest = text.substr(1);
  // A source route, "@a,@b:", is to be ignored (RFC 5321 section 4.1.1.3, appendix C).
  while (!rest.empty() && rest.front() == '@') {
    rest.remove_prefix(1);
    const auto length = count_domain(rest);
    if (length == 0 || length == rest.size()) return std::nullopt;
    const char end = rest[length];
    rest.remove_prefix(length + 1);
    if (end == ':') break;
    if (end != ',' || rest.empty() || rest.front() != '@') return std::nullopt;
  }
  const std::string_view begin = rest;
  const bool quoted = !rest.empty() && rest.front() == '"';
  const auto local = quoted ? count_quoted(rest) : count_plain(rest);
  rest.remove_prefix(local);
  // "<Postmaster>" has no domain (RFC 5321 section 4.5.1).
  if (local > 0 && !rest.empty() && rest.front() == '@') {
    rest.remove_prefix(1);
    const auto domain = count_domain(rest);
    if (domain == 0) return std::nullopt;
    rest.remove_prefix(domain);
  }
  if (rest.empty() || rest.front() != '>') return std::nullopt;
  std::string path(begin.substr(0, begin.size() - rest.size()));
  const bool routed = begin.data() != text.data() + 1;
  if (path.size() > kMaxPath || (local == 0 && (quoted || routed))) return std::nullopt;
  text = rest.substr(1);
  return path;
}

struct Parameter {
  std::string_view key;
  std::string_view value;
  bool has_value = false;
};

// "SP key[=value]"... to the end of the line; nothing when that is not what stands there, or a key stands there twice.
std::optional<std::vector<Parameter>> take_parameters(std::string_view text) {
  std::vector<Parameter> parameters;
  while (!text.empty()) {
    if (text.front() != ' ') return std::nullopt;
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    if (word.empty()) break;  // blanks at the end
    if (std::any_of(word.begin(), word.end(), is_control)) return std::nullopt;
    const auto equals = word.find('=');
    Parameter parameter{word.substr(0, equals), {}, equals != std::string_view::npos};
    if (parameter.has_value) parameter.value = word.substr(equals + 1);
    if (parameter.key.empty() || (parameter.has_value && parameter.value.empty())) return std::nullopt;
    for (const Parameter& other : parameters) {
      if (equal_ignoring_ascii_case(other.key, parameter.key)) return std::nullopt;
    }
    parameters.push_back(parameter);
  }
  return parameters;
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return equal_ignoring_ascii_case(text, word); });
}

std::optional<Reply> apply_mail(const Parameter& parameter, Command& command) {
  const auto [key, value, has_value] = parameter;
  bool good = has_value;
  if (is_one_of(key, {"SIZE"})) {
    command.size = parse_number(value);
    good = command.size.has_value();
  } else if (is_one_of(key, {"BODY"})) {
    command.eight_bit = is_one_of(value, {"8BITMIME"});
    good = command.eight_bit || is_one_of(value, {"7BIT"});
  } else if (is_one_of(key, {"SMTPUTF8"})) {
    good = !has_value;
    command.smtputf8 = true;
  } else if (is_one_of(key, {"RET"})) {
    good = is_one_of(value, {"FULL", "HDRS"});
  } else if (!is_one_of(key, {"ENVID", "AUTH"})) {
    return Reply{555, "5.5.4", "Unknown parameter of MAIL: " + std::string(key)};
  }
  if (!good) return bad_syntax("Bad value of a parameter of MAIL");
  return std::nullopt;
}

// DSN is not announced: these are taken and have no effect.
std::optional<Reply> apply_rcpt(const Parameter& parameter, Command&) {
  if (!is_one_of(parameter.key, {"ORCPT", "NOTIFY"})) {
    return Reply{555, "5.5.4", "Unknown parameter of RCPT: " + std::string(parameter.key)};
  }
  if (!parameter.has_value) return bad_syntax("Bad value of a parameter of RCPT");
  return std::nullopt;
}

// "FROM:<path> parameters" and "TO:<path> parameters".
std::optional<Reply> parse_envelope(std::string_view text, std::string_view prefix, Command& command) {
  const bool mail = command.verb == Verb::Mail;
  if (!equal_ignoring_ascii_case(text.substr(0, prefix.size()), prefix)) {
    return bad_syntax(mail ? "Syntax: MAIL FROM:<address>" : "Syntax: RCPT TO:<address>");
  }
  text.remove_prefix(prefix.size());
  auto path = take_path(text);
  if (!path) return Reply{501, mail ? "5.1.7" : "5.1.3", "Bad address syntax"};
  if (path->empty() && !mail) return Reply{501, "5.1.3", "No address"};
  command.path = std::move(*path);
  const auto parameters = take_parameters(text);
  if (!parameters) return bad_syntax("Bad parameter syntax");
  for (const Parameter& parameter : *parameters) {
    if (auto error = mail ? apply_mail(parameter, command) : apply_rcpt(parameter, command)) return error;
  }
  return std::nullopt;
}

std::optional<Reply> parse_lhlo(std::string_view text, Command& command) {
  text = trim(text);
  const bool good = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (text.empty() || !good || text.size() > kMaxName) return bad_syntax("Syntax: LHLO hostname");
  command.name = text;
  return std::nullopt;
}

// "octets [LAST]" (RFC 3030 section 2).
std::optional<Reply> parse_bdat(std::string_view text, Command& command) {
  const auto size = text.substr(0, text.find(' '));
  const auto octets = parse_number(size);
  const std::string_view rest = trim(text.substr(size.size()));
  command.last = equal_ignoring_ascii_case(rest, "LAST");
  if (!octets || (!rest.empty() && !command.last)) return bad_syntax("Syntax: BDAT octets [LAST]");
  command.octets = *octets;
  return std::nullopt;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Nothing when it is none (RFC 3461 section 4: "+" and two upper-case hexadecimal digits stand for an octet).
std::optional<std::string> xtext_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '+') {
      if (text[i] <= ' ' || text[i] > '~' || text[i] == '=') return std::nullopt;
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// What Postfix sends when it has not, or could not find out, the value of an attribute.
bool is_unknown(std::string_view value) {
  return is_one_of(value, {"[UNAVAILABLE]", "[TEMPUNAVAIL]"});
}

// "name=value"...: IDENT is the queue id, the others are taken and have no effect.
std::optional<Reply> parse_xforward(std::string_view text, Command& command) {
  const std::string words = ' ' + std::string(text);
  const auto parameters = take_parameters(words);
  if (text.empty() || !parameters) return bad_syntax("Syntax: XFORWARD name=value ...");
  for (const auto& [key, value, has_value] : *parameters) {
    if (!is_one_of(key, {"NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "DOMAIN", "SOURCE"})) {
      return bad_syntax("Unknown attribute of XFORWARD");
    }
    auto decoded = xtext_decoded(value);
    if (!has_value || !decoded) return bad_syntax("Bad value of an attribute of XFORWARD");
    if (!is_one_of(key, {"IDENT"})) continue;
    if (is_unknown(*decoded)) decoded->clear();
    const bool plain = std::all_of(decoded->begin(), decoded->end(), [](char c) { return c > ' ' && c <= '~'; });
    if (!plain || decoded->size() > kMaxIdent) return bad_syntax("Bad value of IDENT");
    command.ident = std::move(*decoded);
  }
  return std::nullopt;
}

}  // namespace

Parsed parse_command(std::string_view line) {
  Parsed parsed;
  Command& command = parsed.command;
  const std::string_view word = line.substr(0, line.find(' '));
  for (const Word& known : kVerbs) {
    if (equal_ignoring_ascii_case(word, known.text)) command.verb = known.verb;
  }
  std::string_view rest = line.substr(word.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));

  switch (command.verb) {
    case Verb::Unknown:
      parsed.error = Reply{500, "5.5.2", "Unknown command"};
      break;
    case Verb::Helo:  // RFC 2033 section 4.1: never a positive reply
      parsed.error = Reply{502, "5.5.1", "This is LMTP: say LHLO"};
      break;
    case Verb::Lhlo:
      parsed.error = parse_lhlo(rest, command);
      break;
    case Verb::Mail:
      parsed.error = parse_envelope(rest, "FROM:", command);
      break;
    case Verb::Rcpt:
      parsed.error = parse_envelope(rest, "TO:", command);
      break;
    case Verb::Bdat:
      parsed.error = parse_bdat(rest, command);
      break;
    case Verb::XForward:
      parsed.error = parse_xforward(rest, command);
      break;
    case Verb::Data:
    case Verb::Rset:
    case Verb::Quit:
    case Verb::StartTls:
      if (!rest.empty()) parsed.error = bad_syntax("This command takes no argument");
      break;
    case Verb::Noop:
    case Verb::Vrfy:
    case Verb::Help:
      break;
  }
  return parsed;
}

}  // namespace vmail::lmtp
