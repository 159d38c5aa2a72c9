// The decoder of saslauthd's protocol: every split gives the same request.
#include <string>
#include <vector>

#include "dovecot-auth/saslauthd/codec.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::auth::saslauthd;

static vmail::fuzz::Reach reached_request("a request");
static vmail::fuzz::Reach reached_realm("one with a realm");
static vmail::fuzz::Reach reached_malformed("a string that is too long");
static vmail::fuzz::Reach reached_half("half a request");

namespace {

std::string decode(std::string_view bytes, std::size_t step) {
  Decoder decoder;
  const auto event = vmail::fuzz::feed_decoder(decoder, bytes, step);
  if (event == Decoder::Event::NeedMore) {
    reached_half.hit();
    return {};
  }
  if (event == Decoder::Event::Malformed) {
    reached_malformed.hit();
    return "malformed";
  }
  reached_request.hit();
  const Request request = decoder.request();
  if (request.user.find('@') != std::string::npos) reached_realm.hit();
  require(request.user.size() <= 2 * kMaxField + 1 && request.password.view().size() <= kMaxField,
          "no more is kept than the limit");
  return request.user + '\n' + request.password.text() + '\n' + request.service;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vmail::fuzz::check_splits(decode, data, size);
}
