#include "dovecot-lmtp-store/lmtp/reply_reader.h"

#include <string>

#include "tests/support/catch.h"

using namespace vmail::lmtp;

namespace {

// "code enhanced text" of each reply, then "more" or "malformed".
std::string read(const std::string& bytes, std::size_t step) {
  ReplyReader reader;
  std::string seen;
  for (std::string_view rest = bytes; !rest.empty();) {
    std::string_view piece = rest.substr(0, step);
    rest.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto result = reader.take(piece);
      if (result == ReplyReader::Result::Malformed) return seen + "malformed";
      if (result == ReplyReader::Result::NeedMore) break;
      const Reply reply = reader.reply();
      seen += std::to_string(reply.code) + '|' + reply.enhanced + '|' + reply.text + '\n';
    }
  }
  return seen + "more";
}

void check(const std::string& bytes, const std::string& expected) {
  CAPTURE(bytes);
  for (const std::size_t step : {1u, 2u, 3u, 100000u}) {
    CAPTURE(step);
    CHECK(read(bytes, step) == expected);
  }
}

}  // namespace

TEST_CASE("replies") {
  check("250 2.0.0 <a@b> x Saved\r\n", "250|2.0.0|<a@b> x Saved\nmore");
  check("250 OK\r\n354 go\n", "250||OK\n354||go\nmore");
  check("250\r\n", "250||\nmore");
  check("250 \r\n", "250||\nmore");
  check("250 2.1.5\r\n", "250|2.1.5|\nmore");
  check("250-mail.test\r\n250-PIPELINING\r\n250 SIZE 10\r\n", "250||mail.test PIPELINING SIZE 10\nmore");
  check("552-5.2.0 <a@b> No,\r\n552-5.2.0\r\n552 5.2.0 not today\r\n", "552|5.2.0|<a@b> No,  not today\nmore");
  check("250 2.0.0 half", "more");
  check("", "more");
}

TEST_CASE("an enhanced code has the class of the reply") {
  check("250 5.0.0 x\r\n", "250||5.0.0 x\nmore");
  check("550 5.7 x\r\n", "550||5.7 x\nmore");
  check("550 5.7.1x\r\n", "550||5.7.1x\nmore");
  check("550 5.7.1234 x\r\n", "550||5.7.1234 x\nmore");
  check("550 5.123.123 x\r\n", "550|5.123.123|x\nmore");
  check("550 .7.1 x\r\n", "550||.7.1 x\nmore");
}

TEST_CASE("what is no reply") {
  check("OK\r\n", "malformed");
  check("25 x\r\n", "malformed");
  check("2500 x\r\n", "malformed");
  check("150 x\r\n", "malformed");
  check("650 x\r\n", "malformed");
  check("250:x\r\n", "malformed");
  check("\r\n", "malformed");
  check("250-x\r\n251 y\r\n", "malformed");
  check("250 x\r\nSSH-2.0\r\n", "250||x\nmalformed");
}

TEST_CASE("a reply has an end") {
  const std::string lines = "250-" + std::string(96, 'x') + "\r\n";
  std::string many;
  while (many.size() + lines.size() <= ReplyReader::kMaxReply) many += lines;
  check(many + lines, "malformed");
  check("250 " + std::string(ReplyReader::kMaxReply, 'x'), "malformed");
  // The next one has all room again.
  const std::string large = "250 " + std::string(ReplyReader::kMaxReply - 6, 'x') + "\r\n";
  const std::string text = "250||" + std::string(ReplyReader::kMaxReply - 6, 'x') + '\n';
  CHECK(read(large + large, 1000) == text + text + "more");
}
