#include "dovecot-auth/postfix/codec.h"

#include <array>

#include "dovecot-auth/wire/reply.h"
#include "dovecot-auth/wire/tabs.h"
#include "shared/base/base64.h"

namespace vmail::auth::postfix {
namespace {

constexpr std::size_t kMaxFields = 64;  // Dovecot's own clients send about 30

struct Line {
  std::array<tabs::Field, kMaxFields> fields;
  std::size_t count = 0;

  std::string_view at(std::size_t i) const { return {fields[i].text, fields[i].size}; }
  std::optional<std::string_view> value(std::size_t i, const char* key) const {
    const char* text = tabs::value_of(fields[i], key);
    if (text == nullptr) return std::nullopt;
    return std::string_view(text, static_cast<std::size_t>(fields[i].text + fields[i].size - text));
  }
};

Response decode(std::string_view base64) {
  // "AUTH PLAIN =" is an empty response (RFC 4954 section 4), and Postfix hands the '=' on.
  if (base64 == "=") return {};
  auto bytes = base64_decode(base64);
  if (!bytes) return {false, Secret()};
  return {true, Secret::take(*bytes)};
}

std::optional<std::uint32_t> parse_id(const Line& line) {
  if (line.count < 2) return std::nullopt;
  return parse_request_id(line.at(1));
}

Event parse_auth(const Line& line) {
  const auto id = parse_id(line);
  if (!id || line.count < 3) return Malformed{"an AUTH without a number and a mechanism"};
  Auth auth;
  auth.id = *id;
  auth.mechanism = line.at(2);
  for (std::size_t i = 3; i < line.count; ++i) {
    if (const auto service = line.value(i, "service")) auth.service = *service;
    if (const auto rip = line.value(i, "rip")) auth.remote_ip = *rip;
    if (const auto session = line.value(i, "session")) auth.session = *session;
    if (const auto response = line.value(i, "resp")) auth.initial = decode(*response);
  }
  return auth;
}

Event parse_continue(const Line& line) {
  const auto id = parse_id(line);
  if (!id || line.count != 3) return Malformed{"a CONT without a number and its data"};
  return Continue{*id, decode(line.at(2))};
}

Event parse_cancel(const Line& line) {
  const auto id = parse_id(line);
  if (!id) return Malformed{"a CANCEL without a number"};
  return Cancel{*id};
}

// NeedMore stands for a line that asks for nothing.
Event parse_line(std::span<char> text) {
  Line line;
  line.count = tabs::split(text.data(), text.size(), line.fields.data(), kMaxFields);
  if (line.count > kMaxFields) return Malformed{"a line of more than 64 fields"};
  const std::string_view command = line.at(0);
  if (command == "AUTH") return parse_auth(line);
  if (command == "CONT") return parse_continue(line);
  if (command == "CANCEL") return parse_cancel(line);
  if (command == "VERSION" && (line.count < 2 || line.at(1) != "1")) {
    return Malformed{"another major version of the protocol than ours, which is 1"};
  }
  return NeedMore{};
}

}  // namespace

Event Decoder::next() {
  for (;;) {
    std::span<char> line;
    switch (lines_.next(line)) {
      case LineBuffer::State::NeedMore:
        return NeedMore{};
      case LineBuffer::State::TooLong:
        return Malformed{"a line of more than 16384 bytes"};
      case LineBuffer::State::Line:
        break;
    }
    Event event = parse_line(line);
    if (!std::holds_alternative<NeedMore>(event)) return event;
  }
}

std::string handshake(std::uint32_t pid, std::uint64_t connection, std::string_view cookie,
                      const std::vector<std::string>& mechanisms) {
  std::string text = "VERSION\t1\t2\n";
  for (const auto& name : mechanisms) {
    // The others send the password as it is: smtpd_sasl_security_options goes by it.
    text += "MECH\t" + name + (name.starts_with("SCRAM-") ? "\tmutual-auth\n" : "\tplaintext\n");
  }
  // Postfix takes a server that sends SPID before its mechanisms for another kind of socket and hangs up.
  return text + "SPID\t" + std::to_string(pid) + "\nCUID\t" + std::to_string(connection) + "\nCOOKIE\t" +
         std::string(cookie) + "\nDONE\n";
}

std::string ok(std::uint32_t id, std::string_view user) {
  return reply_line(user.size(), [&](tabs::Writer& writer) {
    writer.word("OK");
    writer.word(std::to_string(id).c_str());
    put(writer, "user", user);
  });
}

std::string go_on(std::uint32_t id, std::string_view challenge) {
  return reply_line(challenge.size(), [&](tabs::Writer& writer) {
    writer.word("CONT");
    writer.word(std::to_string(id).c_str());
    writer.word(base64_encode(challenge).c_str());
  });
}

std::string fail(std::uint32_t id, std::string_view user, std::string_view reason) {
  return reply_line(user.size() + reason.size(), [&](tabs::Writer& writer) {
    writer.word("FAIL");
    writer.word(std::to_string(id).c_str());
    if (!user.empty()) put(writer, "user", user);
    put(writer, "reason", reason);
  });
}

}  // namespace vmail::auth::postfix
