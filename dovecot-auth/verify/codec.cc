#include "dovecot-auth/verify/codec.h"

#include <string.h>

#include <array>

#include "dovecot-auth/wire/reply.h"
#include "shared/base/text.h"

namespace vmail::auth::verify {
namespace {

constexpr std::size_t kMaxReason = 512;

Request::Kind kind_of(std::string_view command) {
  if (command == protocol::kVerify) return Request::Kind::Verify;
  if (command == protocol::kUserdb) return Request::Kind::Userdb;
  if (command == protocol::kList) return Request::Kind::List;
  if (command == protocol::kCredentials) return Request::Kind::Credentials;
  return Request::Kind::Unknown;
}

}  // namespace

Request parse_request(std::span<char> line) {
  std::array<tabs::Field, protocol::kMaxFields> fields;
  const std::size_t count = tabs::split(line.data(), line.size(), fields.data(), fields.size());
  Request request;
  if (count > fields.size()) return request;
  request.kind = kind_of({fields[0].text, fields[0].size});
  for (std::size_t i = 1; i < count; ++i) {
    const auto value = [&](const char* key) -> std::string_view {
      const char* text = tabs::value_of(fields[i], key);
      if (text == nullptr) return {};
      return {text, static_cast<std::size_t>(fields[i].text + fields[i].size - text)};
    };
    if (const auto user = value("user"); !user.empty()) request.user = user;
    if (const auto password = value("password"); !password.empty()) request.password = Secret(password);
    if (const auto service = value("service"); !service.empty()) request.service = service;
    if (const auto rip = value("rip"); !rip.empty()) request.remote_ip = rip;
    if (const auto session = value("session"); !session.empty()) request.session = session;
    if (const auto scheme = value("scheme"); !scheme.empty()) request.scheme = scheme;
    if (const auto after = parse_number(value("after"))) request.after = *after;
  }
  return request;
}

Secret ok(const Reply& reply) {
  std::array<char, protocol::kMaxLine> buffer;
  tabs::Writer writer(buffer.data(), buffer.size());
  writer.word(protocol::kOk);
  put(writer, "user", reply.user);
  put(writer, "home", reply.home);
  put(writer, "uid", std::to_string(reply.uid));
  put(writer, "gid", std::to_string(reply.gid));
  if (!reply.password.empty()) put(writer, "password", reply.password);
  if (!reply.allow_nets.empty()) put(writer, "allow_nets", reply.allow_nets);
  writer.end_line();
  Secret line = writer.ok() ? Secret(std::string_view(writer.data(), writer.size()))
                            : Secret(temp("the reply would be longer than a line may be"));
  explicit_bzero(buffer.data(), buffer.size());
  return line;
}

bool ListReply::add(std::string_view user) {
  // Each byte may need two, and the end its room.
  constexpr std::size_t kEnd = 32;
  if (writer_.size() + 2 * user.size() + sizeof "\tuser=" + kEnd > buffer_.size()) return false;
  put(writer_, "user", user);
  return true;
}

std::string ListReply::finish(std::optional<std::uint64_t> after) {
  if (after) put(writer_, "after", std::to_string(*after));
  writer_.end_line();
  return {writer_.data(), writer_.size()};
}

std::string no() {
  return std::string(protocol::kNo) + '\n';
}

std::string temp(std::string_view reason) {
  std::array<char, 4 * kMaxReason> buffer;
  tabs::Writer writer(buffer.data(), buffer.size());
  writer.word(protocol::kTemp);
  put(writer, "reason", printable(reason, kMaxReason));
  writer.end_line();
  return {writer.data(), writer.size()};
}

}  // namespace vmail::auth::verify
