// The frame of the fuzz targets. A target is tests/fuzz/NAME_fuzz.cc with LLVMFuzzerTestOneInput(), seeds in
// tests/fuzz/seeds/NAME/ and a dictionary tests/fuzz/NAME.dict.
//
// Preset `fuzz` links it with libFuzzer. Every other preset links it with replay_main.cc, which runs all seeds as a
// unit test and fails when a Reach was never hit: a target that does not get into its code finds nothing, for ever.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace vmail::fuzz {

// One place that the seeds must get to. File-scope static: `static vmail::fuzz::Reach reached_reply("a reply");`
class Reach {
 public:
  explicit Reach(const char* what) : what_(what), next_(first()) {
    if (first() == nullptr) std::atexit(print_all);
    first() = this;
  }
  Reach(const Reach&) = delete;
  Reach& operator=(const Reach&) = delete;

  void hit() { ++hits_; }

  // Whether each was hit at least once; also false when a target declares none.
  static bool all_hit() {
    for (const Reach* reach = first(); reach != nullptr; reach = reach->next_) {
      if (reach->hits_ == 0) return false;
    }
    return first() != nullptr;
  }

 private:
  static Reach*& first() {
    static Reach* list = nullptr;
    return list;
  }
  static void print_all() {
    for (const Reach* reach = first(); reach != nullptr; reach = reach->next_) {
      std::fprintf(stderr, "reached %s: %llu\n", reach->what_, reach->hits_);
    }
  }

  const char* what_;
  unsigned long long hits_ = 0;
  Reach* next_;
};

// What must hold for every input; unlike assert() it holds in every build.
inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz: does not hold: %s\n", what);
  std::abort();
}

inline std::string_view view(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// `decode(bytes, step)` feeds a decoder pieces of that size and returns what came out: however the bytes are split, it
// is the same.
template <class Decode>
int check_splits(Decode decode, const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = view(data, size);
  const auto whole = decode(bytes, size);
  require(whole == decode(bytes, 1), "byte by byte gives the same");
  require(whole == decode(bytes, 7), "pieces of seven give the same");
  return 0;
}

// Feeds pieces of that size to `feed`, each a copy, so that reading beyond a piece is seen, until it returns true.
// Whether it did.
template <class Feed>
bool feed_pieces(std::string_view bytes, std::size_t step, Feed feed) {
  while (!bytes.empty()) {
    const std::vector<char> piece(bytes.begin(), bytes.begin() + static_cast<long>(std::min(step, bytes.size())));
    bytes.remove_prefix(piece.size());
    if (feed(std::string_view(piece.data(), piece.size()))) return true;
  }
  return false;
}

// The same of a Decoder that is done with one request: the event that it ends with, NeedMore when it does not.
template <class Decoder>
auto feed_decoder(Decoder& decoder, std::string_view bytes, std::size_t step) {
  auto event = Decoder::Event::NeedMore;
  feed_pieces(bytes, step, [&](std::string_view piece) {
    event = decoder.feed(piece);
    return event != Decoder::Event::NeedMore;
  });
  return event;
}

// What a Decoder with events NeedMore, Request and Malformed makes of pieces of that size: see(request) of each
// request, and why there are no more.
template <class Decoder, class See>
std::vector<std::string> decode_requests(std::string_view bytes, std::size_t step, See see) {
  static Reach reached_request("a request");
  static Reach reached_malformed("a malformed one");
  static Reach reached_half("half a request");
  Decoder decoder;
  std::vector<std::string> seen;
  const bool ended = feed_pieces(bytes, step, [&](std::string_view input) {
    for (;;) {
      const auto event = decoder.next(input);
      if (event == Decoder::Event::NeedMore) return false;
      if (event == Decoder::Event::Malformed) {
        reached_malformed.hit();
        seen.emplace_back(decoder.why());
        return true;
      }
      reached_request.hit();
      seen.push_back(see(decoder.request()));
    }
  });
  if (!ended && decoder.in_request()) reached_half.hit();
  return seen;
}

}  // namespace vmail::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
