// Replies of a LMTP server: every split gives the same, and whatever it says becomes one reply that our own client can
// take.
#include <string>

#include "dovecot-lmtp-store/lmtp/pass_on.h"
#include "dovecot-lmtp-store/lmtp/reply_reader.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::lmtp;

static vmail::fuzz::Reach reached_lines("a reply of several lines");
static vmail::fuzz::Reach reached_enhanced("an enhanced code");
static vmail::fuzz::Reach reached_malformed("what is no reply");
static vmail::fuzz::Reach reached_half("half a reply");
static vmail::fuzz::Reach reached_passed("a reply passed on");
static vmail::fuzz::Reach reached_trouble("a reply not passed on");

namespace {

void check(const Reply& said) {
  if (!said.enhanced.empty()) reached_enhanced.hit();
  for (const Stage stage : {Stage::Session, Stage::Envelope, Stage::Text}) {
    const auto passed = pass_on(said, stage);
    const int code = passed.reply.code;
    require(code == 250 || (code >= 400 && code < 500 && code != 421) || (code >= 510 && code < 600 && code != 555),
            "Postfix takes the code for what it is");
    require(stage == Stage::Text || code != 250, "nothing is stored before its text has gone");
    require(passed.reply.enhanced[0] == '0' + code / 100, "the enhanced code is of its class");
    const std::string line = format(passed.reply);
    require(line.size() <= 512 && line.find('\n') == line.size() - 1, "a reply is one line");
    (passed.trouble ? reached_trouble : reached_passed).hit();
  }
}

std::string read(std::string_view bytes, std::size_t step, bool judge) {
  ReplyReader reader;
  std::string seen;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto result = reader.take(piece);
      if (result == ReplyReader::Result::Malformed) {
        reached_malformed.hit();
        return seen + "malformed";
      }
      if (result == ReplyReader::Result::NeedMore) {
        require(piece.empty(), "more is asked for when all was taken");
        break;
      }
      if (reader.lines().size() > 1) reached_lines.hit();
      const Reply reply = reader.reply();
      seen += std::to_string(reply.code) + '|' + reply.enhanced + '|' + reply.text + '\n';
      require(reply.text.size() <= ReplyReader::kMaxReply, "a reply keeps the limit");
      if (judge) check(reply);
    }
  }
  reached_half.hit();
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = vmail::fuzz::view(data, size);
  const std::string whole = read(bytes, bytes.size() + 1, true);
  require(whole == read(bytes, 1, false), "byte by byte gives the same");
  require(whole == read(bytes, 7, false), "pieces of seven give the same");
  return 0;
}
