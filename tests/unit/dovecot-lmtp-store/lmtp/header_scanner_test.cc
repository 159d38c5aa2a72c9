#include "dovecot-lmtp-store/lmtp/header_scanner.h"

#include "tests/support/catch.h"

using namespace vmail::lmtp;

namespace {

std::vector<HeaderRule> rules(const std::vector<std::string>& texts) {
  std::vector<HeaderRule> out;
  for (const std::string& text : texts) {
    std::string why;
    auto rule = parse_header_rule(text, why);
    CAPTURE(text, why);
    REQUIRE(rule);
    out.push_back(*rule);
  }
  return out;
}

// The same at every split into two, of a short one.
bool scan(const std::vector<HeaderRule>& list, const std::string& text) {
  const auto at = [&](std::size_t split) {
    HeaderScanner scanner(list);
    scanner.feed(text.substr(0, split));
    scanner.feed(text.substr(split));
    return scanner.finish();
  };
  const bool found = at(0);
  for (std::size_t split = 1; text.size() < 1000 && split <= text.size(); ++split) CHECK(at(split) == found);
  return found;
}

}  // namespace

TEST_CASE("headers that say spam") {
  const auto list = rules({"X-Spam-Flag: YES", "X-Spam: Yes", "X-Spam-Status:Yes*"});
  for (const char* text : {
           "X-Spam-Flag: YES\n\n",
           "Subject: x\nx-spam-flag:yes\n\nbody\n",
           "X-Spam-Flag:\n\tYES\nSubject: x\n\n",
           "X-Spam: Yes",
           "X-Spam: Yes\r\n\r\n",
           "X-Spam :  Yes  \n",
           "X-Spam-Status: Yes, score=9.1\n required=5\n\n",
           "A: b\n c\n d\nX-Spam: yes\n\n",
       }) {
    CAPTURE(text);
    CHECK(scan(list, text));
  }
  for (const char* text : {
           "",
           "\nX-Spam: Yes\n",
           "\r\nX-Spam: Yes\n",
           "Subject: x\n\nX-Spam: Yes\n",
           "Subject: x\n X-Spam: Yes\n\n",
           "X-Spam: No\n\n",
           "X-Spam: Yes indeed\n\n",
           "X-Spam-Status: No, Yes\n\n",
           "X-Spammer: Yes\n\n",
           "X-Spam Yes\n\n",
           " X-Spam: Yes\n\n",
           "Y-X-Spam: Yes\n\n",
       }) {
    CAPTURE(text);
    CHECK_FALSE(scan(list, text));
  }
}

TEST_CASE("what is looked at is bounded") {
  const auto list = rules({"X-Spam: Yes", "X-Long: a*", "X-Whole: " + std::string(50, 'a')});
  const std::string filler = "A: " + std::string(70, 'b') + '\n';
  std::string text;
  while (text.size() + 200 < HeaderScanner::kMaxHeaders) text += filler;
  CHECK(scan(list, text + "X-Spam: Yes\n\n"));
  HeaderScanner scanner(list);
  CHECK(scanner.feed(text + filler + filler + filler + "X-Spam: Yes\n\n"));
  CHECK_FALSE(scanner.finish());
  // A header longer than is kept: its beginning counts, but it is not taken for the whole.
  CHECK(scan(list, "X-Long: " + std::string(5000, 'a') + "\n\n"));
  CHECK_FALSE(scan(list, "X-Whole: " + std::string(50, 'a') + std::string(2000, ' ') + "b\n\n"));
  CHECK(scan(list, "X-Other: " + std::string(5000, 'a') + "\nX-Spam: Yes\n\n"));
  CHECK_FALSE(scan(list, "X-Other: " + std::string(5000, 'a') + "\r\n\r\nX-Spam: Yes\n\n"));
}

TEST_CASE("rules that are none") {
  for (const std::string& text :
       {std::string("X-Spam"), std::string("X-Spam:"), std::string(": Yes"), std::string("X Spam: Yes"),
        std::string("X-Späm: Yes"), std::string(), "X-Spam: " + std::string(2000, 'a')}) {
    CAPTURE(text);
    std::string why;
    CHECK_FALSE(parse_header_rule(text, why));
    CHECK_FALSE(why.empty());
  }
}
