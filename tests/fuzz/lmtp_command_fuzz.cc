// Lines and commands of LMTP: every split gives the same, and nothing that came in can break a header, a reply or a
// log.
#include <algorithm>
#include <string>
#include <vector>

#include "dovecot-lmtp-store/lmtp/command.h"
#include "dovecot-lmtp-store/lmtp/line_reader.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::lmtp;

static vmail::fuzz::Reach reached_path("a path");
static vmail::fuzz::Reach reached_quoted("a quoted local part");
static vmail::fuzz::Reach reached_size("a size");
static vmail::fuzz::Reach reached_name("a client's name");
static vmail::fuzz::Reach reached_ident("a queue id");
static vmail::fuzz::Reach reached_chunk("a chunk");
static vmail::fuzz::Reach reached_error("an error");
static vmail::fuzz::Reach reached_long("a line too long");
static vmail::fuzz::Reach reached_bare("a bare LF");

namespace {

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void check(const std::string& line) {
  require(line.size() + 2 <= kMaxLine, "a line keeps the limit");
  const Parsed parsed = parse_command(line);
  if (parsed.error) {
    reached_error.hit();
    const std::string reply = format(*parsed.error);
    require(reply.size() <= 512 && reply.find('\n') == reply.size() - 1, "a reply is one line");
    require(!parsed.error->is_positive(), "an error is no good reply");
    return;
  }
  const Command& command = parsed.command;
  require(command.verb != Verb::Unknown && command.verb != Verb::Helo, "these are errors");
  require(!has_control(command.path) && !has_control(command.name), "no control characters");
  if (command.verb == Verb::Rcpt) require(!command.path.empty(), "a recipient has an address");
  if (!command.path.empty()) reached_path.hit();
  if (!command.path.empty() && command.path.front() == '"') reached_quoted.hit();
  if (command.size) reached_size.hit();
  if (!command.name.empty()) reached_name.hit();
  if (command.verb == Verb::Bdat && command.last) reached_chunk.hit();
  if (command.ident && !command.ident->empty()) {
    reached_ident.hit();
    require(!has_control(*command.ident) && command.ident->find(' ') == std::string::npos, "a queue id is one word");
  }
  if (command.verb == Verb::Mail || command.verb == Verb::Rcpt) {
    // What was understood reads the same again.
    const bool mail = command.verb == Verb::Mail;
    const Parsed again = parse_command((mail ? "MAIL FROM:<" : "RCPT TO:<") + command.path + '>');
    require(!again.error && again.command.path == command.path, "a path reads back");
  }
}

std::vector<std::string> read(std::string_view bytes, std::size_t step, bool parse) {
  LineReader reader;
  std::vector<std::string> seen;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    for (;;) {
      const auto result = reader.take(piece);
      if (result == LineReader::Result::NeedMore) break;
      if (result == LineReader::Result::TooLong) reached_long.hit(), seen.emplace_back("too long");
      if (result == LineReader::Result::Line) {
        seen.push_back("line " + reader.line());
        if (parse) check(reader.line());
      }
      if (result == LineReader::Result::BareLf) {
        reached_bare.hit();
        seen.emplace_back("bare");
        return seen;
      }
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = vmail::fuzz::view(data, size);
  const auto whole = read(bytes, std::max<std::size_t>(bytes.size(), 1), true);
  require(whole == read(bytes, 1, false), "byte by byte gives the same");
  require(whole == read(bytes, 7, false), "pieces of seven give the same");
  return 0;
}
