// The data of LMTP: every split gives the same text, end and sizes, it ends where a plain search says, and a text that
// is sent by the rules, at once or in chunks, comes out as it was.
#include <algorithm>
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

std::string encode(std::string_view text, std::size_t step) {
  DataEncoder encoder;
  std::string out;
  for (; !text.empty(); text.remove_prefix(std::min(step, text.size()))) encoder.encode(text.substr(0, step), out);
  encoder.finish(out);
  return out;
}

// The same bytes in chunks of `size`, which come in pieces of `step`.
std::string decode_chunks(std::string_view bytes, std::size_t size, std::size_t step, bool& bare_lf) {
  ChunkDecoder decoder;
  std::string out;
  bool last = false;
  while (!last) {
    std::string_view chunk = bytes.substr(0, size);
    bytes.remove_prefix(chunk.size());
    last = bytes.empty();
    decoder.begin(chunk.size(), last);
    bool ended = chunk.empty() && decoder.decode(chunk, out);
    while (!ended) {
      std::string_view piece = chunk.substr(0, step);
      const std::size_t length = piece.size();
      require(length > 0, "a chunk ends with its octets");
      ended = decoder.decode(piece, out);
      require(piece.empty(), "all of a chunk is taken");
      chunk.remove_prefix(length);
    }
    require(chunk.empty(), "and nothing is left of it");
  }
  bare_lf = decoder.bare_lf();
  return out;
}

bool has_bare_lf(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\n' && (i == 0 || bytes[i - 1] != '\r')) return true;
  }
  return false;
}

// CRLF as LF, by a plain search.
std::string stored(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != '\r' || i + 1 == bytes.size() || bytes[i + 1] != '\n') out += bytes[i];
  }
  return out;
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

  const std::string sent = encode(bytes, bytes.size() + 1);
  require(sent == encode(bytes, 1), "a text is sent alike in pieces");
  const Decoded back = decode(sent, sent.size());
  require(back.ended && back.taken == sent.size(), "a message sent by the rules ends at its end");
  const std::string final_line = !bytes.empty() && bytes.back() != '\n' ? "\n" : "";
  require(back.text == std::string(bytes) + final_line, "and is what was sent");

  const std::string text = stored(bytes);
  for (const std::size_t chunk : {bytes.size() + 1, std::size_t{1}, std::size_t{5}}) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, bytes.size() + 1}) {
      bool bare_lf = false;
      require(decode_chunks(bytes, chunk, step, bare_lf) == text, "chunks have the same text, however they are cut");
      require(bare_lf == has_bare_lf(bytes), "and the same bare LF");
    }
  }
  return 0;
}
