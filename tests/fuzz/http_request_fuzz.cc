// The decoder of HTTP requests: every split gives the same, and what is taken for a request is one.
#include <string>
#include <vector>

#include "shared/daemon/http_codec.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::http;

static vmail::fuzz::Reach reached_request("a request");
static vmail::fuzz::Reach reached_bad("a bad request");
static vmail::fuzz::Reach reached_body("one with a body");
static vmail::fuzz::Reach reached_limit("the limit");
static vmail::fuzz::Reach reached_version("another version");
static vmail::fuzz::Reach reached_half("half a request");

namespace {

std::string decode(std::string_view bytes, std::size_t step) {
  Decoder decoder;
  const auto event = vmail::fuzz::feed_decoder(decoder, bytes, step);
  if (event == Decoder::Event::NeedMore) {
    reached_half.hit();
    return {};
  }
  if (event == Decoder::Event::Request) {
    reached_request.hit();
    const Request& request = decoder.request();
    require(!request.method.empty() && !request.path.empty(), "a request has a method and a path");
    require(request.method.size() + request.path.size() < kMaxRequest, "no more is kept than the limit");
    require((request.method + request.path).find_first_of(" \r\n?") == std::string::npos, "of proper characters");
    return request.method + ' ' + request.path;
  }
  if (decoder.status() == 400) reached_bad.hit();
  if (decoder.status() == 413) reached_body.hit();
  if (decoder.status() == 431) reached_limit.hit();
  if (decoder.status() == 505) reached_version.hit();
  require(!decoder.why().empty(), "a refusal says why");
  require(response(decoder.status(), "text/plain", decoder.why()).find("  ") == std::string::npos,
          "a status has its phrase");
  return std::to_string(decoder.status()) + ' ' + std::string(decoder.why());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vmail::fuzz::check_splits(decode, data, size);
}
