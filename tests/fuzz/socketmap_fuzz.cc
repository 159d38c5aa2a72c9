// The netstring decoder: every split gives the same requests, and a reply made of what came in reads back as one.
#include <string>

#include "shared/socketmap/codec.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::socketmap;

static vmail::fuzz::Reach reached_oversized("an oversized request");

namespace {

std::string see(const Request& request) {
  if (request.oversized) reached_oversized.hit();
  require(request.map.size() + request.key.size() <= kMaxKept, "no more is kept than the limit");
  require(request.map.find(' ') == std::string_view::npos, "a map's name has no blank");

  const std::string wire = Reply::ok(request.key).encode();
  require(wire.size() < kMaxPayload + 8 && wire.back() == ',', "a reply is one netstring");
  Decoder reader;
  std::string_view reply = wire;
  require(reader.next(reply) == Decoder::Event::Request && reply.empty(), "a reply reads back");
  return std::string(request.map) + '\n' + std::string(request.key);
}

auto decode(std::string_view bytes, std::size_t step) {
  return vmail::fuzz::decode_requests<Decoder>(bytes, step, see);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vmail::fuzz::check_splits(decode, data, size);
}
