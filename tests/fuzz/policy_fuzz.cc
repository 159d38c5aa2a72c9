// The decoder of policy requests: every split gives the same requests, and a reply is always one line and an empty one.
#include <string>
#include <vector>

#include "postfix-maps/policy/codec.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::policy;

static vmail::fuzz::Reach reached_request("a request");
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
      seen.push_back(std::move(all));
    }
  }
  if (decoder.in_request()) reached_half.hit();
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vmail::fuzz::check_splits(decode, data, size);
}
