#include "dovecot-auth/master/codec.h"

#include <array>

#include "dovecot-auth/wire/reply.h"
#include "dovecot-auth/wire/tabs.h"

namespace vmail::auth::master {
namespace {

constexpr std::size_t kMaxFields = 64;  // Dovecot's own clients send about 20

Request malformed(const char* why) {
  Request request;
  request.why = why;
  return request;
}

// How every reply but the handshake begins.
void begin(tabs::Writer& writer, const char* word, std::uint32_t id) {
  writer.word(word);
  writer.word(std::to_string(id).c_str());
}

}  // namespace

Request parse_request(std::span<char> line) {
  std::array<tabs::Field, kMaxFields> fields;
  const std::size_t count = tabs::split(line.data(), line.size(), fields.data(), fields.size());
  if (count > fields.size()) return malformed("a line of more than 64 fields");
  const auto at = [&](std::size_t i) { return std::string_view(fields[i].text, fields[i].size); };
  const std::string_view command = at(0);
  Request request;
  if (command == "VERSION") {
    if (count < 2 || at(1) != "1") return malformed("another major version of the protocol than ours, which is 1");
    request.kind = Request::Kind::Nothing;
    return request;
  }
  if (command == "CPID" || command.empty()) {
    request.kind = Request::Kind::Nothing;
    return request;
  }
  const auto id = count < 2 ? std::nullopt : parse_request_id(at(1));
  if (!id) return malformed("a request without a number");
  request.id = *id;
  if (command == "LIST") {
    request.kind = Request::Kind::List;
  } else if (command == "USER" || command == "PASS") {
    if (count < 3) return malformed("a lookup without a user");
    request.kind = command == "USER" ? Request::Kind::User : Request::Kind::Pass;
    request.user = at(2);
  } else if (command == "REQUEST" || command == "CACHE-FLUSH") {
    request.kind = Request::Kind::Refused;
  } else {
    return malformed("a request that the protocol does not have");
  }
  return request;
}

std::string handshake(std::uint32_t pid) {
  return "VERSION\t1\t1\nSPID\t" + std::to_string(pid) + '\n';
}

std::string user(std::uint32_t id, const Account& account) {
  return reply_line(account.user.size() + account.home.size(), [&](tabs::Writer& writer) {
    begin(writer, "USER", id);
    writer.word(std::string(account.user).c_str());
    put(writer, "uid", std::to_string(account.uid));
    put(writer, "gid", std::to_string(account.gid));
    put(writer, "home", account.home);
  });
}

std::string pass(std::uint32_t id, std::string_view user) {
  return reply_line(user.size(), [&](tabs::Writer& writer) {
    begin(writer, "PASS", id);
    put(writer, "user", user);
  });
}

std::string listed(std::uint32_t id, std::string_view user) {
  return reply_line(user.size(), [&](tabs::Writer& writer) {
    begin(writer, "LIST", id);
    writer.word(std::string(user).c_str());
  });
}

std::string done(std::uint32_t id, bool whole) {
  return reply_line(0, [&](tabs::Writer& writer) {
    begin(writer, "DONE", id);
    if (!whole) writer.word("fail");
  });
}

std::string not_found(std::uint32_t id) {
  return reply_line(0, [&](tabs::Writer& writer) { begin(writer, "NOTFOUND", id); });
}

std::string fail(std::uint32_t id, std::string_view reason) {
  const std::string text = printable(reason);
  return reply_line(text.size(), [&](tabs::Writer& writer) {
    begin(writer, "FAIL", id);
    put(writer, "reason", text);
  });
}

}  // namespace vmail::auth::master
