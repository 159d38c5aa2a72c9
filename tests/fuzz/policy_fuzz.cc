// The decoder of policy requests: every split gives the same requests, and a reply is always one line and an empty one.
#include <string>

#include "postfix-maps/policy/codec.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::policy;

namespace {

std::string see(const Request& request) {
  std::string all;
  for (const auto value : {request.state, request.instance, request.queue_id, request.sender, request.recipient,
                           request.recipient_count, request.size, request.client_address, request.sasl_username}) {
    require(value.find('\n') == std::string_view::npos, "a value is one line");
    all.append(value).append("\n");
  }
  require(all.size() <= kMaxRequest, "no more than the limit");
  const std::string reply = encode(request.sender);
  require(reply.size() <= kMaxAction + 9 && reply.find('\n') == reply.size() - 2 && reply.back() == '\n',
          "a reply is one line and an empty one");
  return all;
}

auto decode(std::string_view bytes, std::size_t step) {
  return vmail::fuzz::decode_requests<Decoder>(bytes, step, see);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vmail::fuzz::check_splits(decode, data, size);
}
