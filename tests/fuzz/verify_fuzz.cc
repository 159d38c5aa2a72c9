// The verify protocol, both sides: a line becomes a request, a reply made of its parts reads back through the client's
// codec, and any line at all may come as a reply.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "dovecot-auth/verify/codec.h"
#include "dovecot-auth/verify/protocol.h"
#include "dovecot-auth/wire/line_buffer.h"
#include "dovecot-auth/wire/tabs.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::auth;

static vmail::fuzz::Reach reached_verify("VERIFY");
static vmail::fuzz::Reach reached_userdb("USERDB");
static vmail::fuzz::Reach reached_credentials("CREDENTIALS");
static vmail::fuzz::Reach reached_list("LIST");
static vmail::fuzz::Reach reached_listed("a list of mailboxes");
static vmail::fuzz::Reach reached_unknown("an unknown request");
static vmail::fuzz::Reach reached_too_long("a line that is too long");
static vmail::fuzz::Reach reached_escape("a value that needs escapes");

namespace {

void read_back(const std::string& user, const std::string& password) {
  const vmail::Secret reply = verify::ok({user, "/var/mail", 1, 2, password, {}});
  std::string line = reply.text();
  require(line.size() <= protocol::kMaxLine && line.find('\n') == line.size() - 1, "a reply is one line");
  line.pop_back();
  tabs::Field fields[protocol::kMaxFields];
  const std::size_t count = tabs::split(line.data(), line.size(), fields, protocol::kMaxFields);
  if (std::strcmp(fields[0].text, protocol::kTemp) == 0) return;  // it would have been too long
  require(count == (password.empty() ? 5u : 6u), "all fields read back");
  const char* text = tabs::value_of(fields[1], "user");
  require(text != nullptr || user.empty(), "the user reads back");
  if (text != nullptr) {
    require(user == std::string_view(text, static_cast<std::size_t>(fields[1].text + fields[1].size - text)),
            "and alike");
  }
}

// As many as fit, each of which reads back.
void list(const std::string& user, std::uint64_t after) {
  verify::ListReply reply;
  std::size_t listed = 0;
  while (listed < 2 * protocol::kMaxListed && !user.empty() && reply.add(user)) ++listed;
  if (listed > 0) reached_listed.hit();
  std::string line = reply.finish(after);
  require(line.size() <= protocol::kMaxLine && line.find('\n') == line.size() - 1, "a list is one line");
  line.pop_back();
  std::vector<tabs::Field> fields(2 * protocol::kMaxListed + 2);
  const std::size_t count = tabs::split(line.data(), line.size(), fields.data(), fields.size());
  require(count == listed + 2, "all of it reads back");
}

void run_line(std::span<char> line) {
  const auto request = verify::parse_request(line);
  using Kind = verify::Request::Kind;
  if (request.kind == Kind::Verify) reached_verify.hit();
  if (request.kind == Kind::Userdb) reached_userdb.hit();
  if (request.kind == Kind::List) reached_list.hit();
  if (request.kind == Kind::Credentials) reached_credentials.hit();
  if (request.kind == Kind::Unknown) reached_unknown.hit();
  if (request.user.find_first_of("\t\n\001") != std::string::npos) reached_escape.hit();
  read_back(request.user, request.password.text());
  list(request.user, request.after);
  const std::string temp = verify::temp(request.user);
  require(temp.find('\n') == temp.size() - 1, "a reason is one line");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const std::size_t step : {size, std::size_t{1}}) {
    LineBuffer lines(protocol::kMaxLine);
    for (std::size_t at = 0; at < size; at += step) {
      lines.feed(vmail::fuzz::view(data + at, std::min(step, size - at)));
      std::span<char> line;
      LineBuffer::State state;
      while ((state = lines.next(line)) == LineBuffer::State::Line) run_line(line);
      if (state == LineBuffer::State::TooLong) {
        reached_too_long.hit();
        break;
      }
    }
  }
  return 0;
}
