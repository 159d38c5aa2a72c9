// Dovecot's auth master protocol: every split gives the same requests, and no user can make a second line of a reply.
#include <algorithm>
#include <string>
#include <vector>

#include "dovecot-auth/master/codec.h"
#include "dovecot-auth/wire/line_buffer.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::auth;
using master::Request;

static vmail::fuzz::Reach reached_user("USER");
static vmail::fuzz::Reach reached_pass("PASS");
static vmail::fuzz::Reach reached_list("LIST");
static vmail::fuzz::Reach reached_refused("what is refused");
static vmail::fuzz::Reach reached_malformed("a malformed line");
static vmail::fuzz::Reach reached_too_long("a line that is too long");

namespace {

void check_one_line(const std::string& reply) {
  require(reply.find('\n') == reply.size() - 1, "a reply is one line");
}

std::string describe(const Request& request) {
  if (request.kind == Request::Kind::User) reached_user.hit();
  if (request.kind == Request::Kind::Pass) reached_pass.hit();
  if (request.kind == Request::Kind::List) reached_list.hit();
  if (request.kind == Request::Kind::Refused) reached_refused.hit();
  if (request.kind == Request::Kind::Malformed) {
    reached_malformed.hit();
    require(!request.why.empty(), "a refusal says why");
    return "malformed " + request.why;
  }
  check_one_line(master::user(request.id, {request.user, request.user, 1, 2}));
  check_one_line(master::pass(request.id, request.user));
  check_one_line(master::listed(request.id, request.user));
  check_one_line(master::fail(request.id, request.user));
  return std::to_string(static_cast<int>(request.kind)) + ' ' + std::to_string(request.id) + ' ' + request.user;
}

std::vector<std::string> decode(std::string_view bytes, std::size_t step) {
  LineBuffer lines(master::kMaxLine);
  std::vector<std::string> seen;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
    lines.feed(bytes.substr(0, step));
    std::span<char> line;
    LineBuffer::State state;
    while ((state = lines.next(line)) == LineBuffer::State::Line) seen.push_back(describe(master::parse_request(line)));
    if (state == LineBuffer::State::TooLong) {
      reached_too_long.hit();
      break;
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vmail::fuzz::check_splits(decode, data, size);
}
