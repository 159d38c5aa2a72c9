// The netstring decoder: every split gives the same requests, and a reply made of what came in reads back as one.
#include <string>
#include <vector>

#include "shared/socketmap/codec.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::socketmap;

static vmail::fuzz::Reach reached_request("a request");
static vmail::fuzz::Reach reached_oversized("an oversized request");
static vmail::fuzz::Reach reached_malformed("a malformed one");
static vmail::fuzz::Reach reached_half("half a request");

namespace {

std::vector<std::string> decode(std::string_view bytes, std::size_t step) {
  Decoder decoder;
  std::vector<std::string> seen;
  while (!bytes.empty()) {
    const std::vector<char> piece(bytes.begin(), bytes.begin() + static_cast<long>(std::min(step, bytes.size())));
    bytes.remove_prefix(piece.size());
    std::string_view input(piece.data(), piece.size());
    for (;;) {
      const auto event = decoder.next(input);
      if (event == Decoder::Event::NeedMore) break;
      if (event == Decoder::Event::Malformed) {
        reached_malformed.hit();
        seen.emplace_back(decoder.why());
        return seen;
      }
      const Request& request = decoder.request();
      reached_request.hit();
      if (request.oversized) reached_oversized.hit();
      require(request.map.size() + request.key.size() <= kMaxKept, "no more is kept than the limit");
      require(request.map.find(' ') == std::string_view::npos, "a map's name has no blank");
      seen.push_back(std::string(request.map) + '\n' + std::string(request.key));

      const std::string wire = Reply::ok(request.key).encode();
      require(wire.size() < kMaxPayload + 8 && wire.back() == ',', "a reply is one netstring");
      Decoder reader;
      std::string_view reply = wire;
      require(reader.next(reply) == Decoder::Event::Request && reply.empty(), "a reply reads back");
    }
  }
  if (decoder.in_request()) reached_half.hit();
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vmail::fuzz::check_splits(decode, data, size);
}
