// The data of LMTP: every split gives the same text, end and sizes, it ends where a plain search says, and a text that
// is sent by the rules comes out as it was.
#include <string>

#include "dovecot-lmtp-store/lmtp/data_decoder.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::lmtp;

static vmail::fuzz::Reach reached_end("the end of a message");
static vmail::fuzz::Reach reached_open("a message without its end");
static vmail::fuzz::Reach reached_dot("a dot taken off");
static vmail::fuzz::Reach reached_cr("a lone CR");
static vmail::fuzz::Reach reached_rest("commands behind the message");

namespace {

struct Decoded {
  std::string text;
  std::size_t taken = 0;
  bool ended = false;
  Sizes sizes;
  bool operator==(const Decoded& other) const {
    return text == other.text && taken == other.taken && ended == other.ended && sizes.size() == other.sizes.size() &&
           sizes.vsize() == other.sizes.vsize();
  }
};

Decoded decode(std::string_view bytes, std::size_t step) {
  DataDecoder decoder;
  Decoded decoded;
  while (!bytes.empty() && !decoded.ended) {
    std::string_view piece = bytes.substr(0, step);
    const std::size_t length = piece.size(), before = decoded.text.size();
    decoded.ended = decoder.decode(piece, decoded.text);
    require(decoded.ended || piece.empty(), "everything is taken until the end");
    decoded.sizes.add(std::string_view(decoded.text).substr(before));
    decoded.taken += length - piece.size();
    bytes.remove_prefix(length - piece.size());
  }
  return decoded;
}

// As RFC 5321 section 4.5.2 has a client send it: LF as CRLF, a dot doubled at the start of a line.
std::string encode(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && c == '.') out += '.';
    if (c == '\n') out += '\r';
    out += c;
    line_start = c == '\n';
  }
  if (!line_start) out += "\r\n";
  return out + ".\r\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = vmail::fuzz::view(data, size);
  const Decoded whole = decode(bytes, bytes.size() + 1);
  require(whole == decode(bytes, 1), "byte by byte gives the same");
  require(whole == decode(bytes, 3), "pieces of three give the same");

  const auto end = bytes.substr(0, 3) == ".\r\n" ? 0 : bytes.find("\r\n.\r\n");
  require(whole.ended == (end != std::string_view::npos), "it ends at CRLF.CRLF and nowhere else");
  if (whole.ended) {
    reached_end.hit();
    require(whole.taken == (end == 0 && bytes.front() == '.' ? 3 : end + 5), "and there");
    if (whole.taken < bytes.size()) reached_rest.hit();
  } else {
    reached_open.hit();
  }
  if (bytes.find("\r\n.a") != std::string_view::npos) reached_dot.hit();
  if (whole.text.find('\r') != std::string::npos) reached_cr.hit();

  const std::string sent = encode(bytes);
  const Decoded back = decode(sent, sent.size());
  require(back.ended && back.taken == sent.size(), "a message sent by the rules ends at its end");
  const std::string final_line = !bytes.empty() && bytes.back() != '\n' ? "\n" : "";
  require(back.text == std::string(bytes) + final_line, "and is what was sent");
  return 0;
}
