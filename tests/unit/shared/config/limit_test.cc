#include "shared/config/limit.h"

#include "tests/support/catch.h"

using namespace vmail::config;

TEST_CASE("limits read and print") {
  const char* const texts[] = {"recipients 2000/1d",
                               "messages 500/1h",
                               "domain distinct-recipients 30/90s",
                               "network bytes 1048576/1m",
                               "recipients none",
                               "domain messages none",
                               "messages 0/31d"};
  for (const char* text : texts) {
    std::string why;
    const auto limit = parse_limit(text, why);
    INFO(text << ": " << why);
    REQUIRE(limit);
    CHECK(limit_text(*limit) == text);
  }
  std::string why;
  CHECK(limit_text(parse_limit("login  bytes 2M/60m", why).value()) == "bytes 2097152/1h");
}

TEST_CASE("what is no limit says why") {
  const std::pair<const char*, const char*> cases[] = {
      {"", "must be like"},
      {"recipients", "must be like"},
      {"domain recipients", "must be like"},
      {"letters 5/1d", "must count"},
      {"recipients 5", "must end in"},
      {"recipients 5/d", "must end in"},
      {"recipients -5/1d", "must end in"},
      {"recipients 5K/1d", "must end in"},
      {"recipients 5/1w", "must end in"},
      {"recipients 99999999999999999999/1d", "must end in"},
      {"recipients 9999999999999999999/1d", "allows more"},
      {"bytes 9000000T/1d", "allows more"},
      {"recipients 5/59s", "must have a time"},
      {"recipients 5/32d", "must have a time"},
      {"recipients 5/1d more", "must be like"},
  };
  for (const auto& [text, reason] : cases) {
    std::string why;
    INFO(text);
    CHECK_FALSE(parse_limit(text, why));
    CHECK(why.rfind(reason, 0) == 0);
  }
}

TEST_CASE("more exact limits replace those of the same scope and measure") {
  std::vector<Limit> limits;
  std::string why, all;
  for (const char* text : {"recipients 10/1h", "recipients 100/1d", "domain recipients 500/1d", "messages 5/1h"}) {
    limits.push_back(parse_limit(text, why).value());
  }
  for (const auto& limit : merge_limits(limits, {parse_limit("recipients 7/1h", why).value()})) {
    all += limit_text(limit) + "; ";
  }
  CHECK(all == "domain recipients 500/1d; messages 5/1h; recipients 7/1h; ");
}

TEST_CASE("sizes of quotas") {
  CHECK(parse_size("0") == 0U);
  CHECK(parse_size("5K") == 5120U);
  CHECK(parse_size("2G") == 2147483648U);
  CHECK_FALSE(parse_size("G"));
  CHECK_FALSE(parse_size("1.5G"));
  CHECK_FALSE(parse_size("99999999999T"));
}

TEST_CASE("quotas are bytes, messages or both") {
  using vmail::QuotaLimits;
  const std::pair<const char*, QuotaLimits> cases[] = {
      {"5G", {5368709120U, 0}},
      {"0", {}},
      {"none", {}},
      {"512", {512, 0}},
      {"5K 10 messages", {5120, 10}},
      {"10 messages", {0, 10}},
      {"none 10 messages", {0, 10}},
      {"0 0 messages", {}},
      {" 5K  10  messages ", {5120, 10}},
      {"1048576T", {std::uint64_t{1} << 60, 0}},
  };
  for (const auto& [text, limits] : cases) {
    CAPTURE(text);
    CHECK(parse_quota(text) == limits);
  }
  for (const char* text :
       {"", " ", "5 G", "5G 10", "10 message", "messages", "x messages", "5G x messages", "-1", "5G 10 messages more",
        "5G 5G 10 messages", "1048577T", "1152921504606846977 messages", "5G\n10 messages"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_quota(text));
  }
}
