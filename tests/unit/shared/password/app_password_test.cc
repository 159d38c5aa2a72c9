#include "shared/password/app_password.h"

#include <openssl/sha.h>

#include <algorithm>
#include <set>

#include "shared/base/base64.h"
#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::password;

TEST_CASE("an app password is its selector, 80 random bits, and a salted hash of all of it") {
  std::set<std::string> selectors, passwords, hashes;
  for (int i = 0; i < 100; ++i) {
    const NewAppPassword made = make_app_password();
    const std::string& text = made.password.text();
    CAPTURE(text);
    CHECK(text.size() == 28);
    CHECK(selector_of(text) == made.selector);
    CHECK(made.selector.size() == 8);
    CHECK(std::count(text.begin(), text.end(), '-') == 4);
    selectors.insert(made.selector);
    passwords.insert(text.substr(8));
    hashes.insert(made.hash.text());

    REQUIRE(made.hash.view().starts_with("{SSHA256}"));
    const auto stored = base64_decode(made.hash.view().substr(9));
    REQUIRE(stored);
    REQUIRE(stored->size() == SHA256_DIGEST_LENGTH + 16);
    const std::string salted = text + stored->substr(SHA256_DIGEST_LENGTH);
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(salted.data()), salted.size(), digest);
    CHECK(stored->compare(0, sizeof digest, reinterpret_cast<const char*>(digest), sizeof digest) == 0);
  }
  CHECK(selectors.size() == 100);
  CHECK(passwords.size() == 100);
  CHECK(hashes.size() == 100);
}

TEST_CASE("what is no app password by its form has no selector") {
  CHECK(selector_of("abcdefgh-abcd-efgh-2345-67ab") == "abcdefgh");
  for (const char* text :
       {"", "abcdefgh", "abcdefgh-", "abcdefgh-abcd-efgh-2345-67a", "abcdefgh-abcd-efgh-2345-67abc",
        "abcdefgH-abcd-efgh-2345-67ab", "abcdefg1-abcd-efgh-2345-67ab", "abcdefgh-abcd-efgh-2345-67a ",
        "abcdefgh abcd-efgh-2345-67ab", "abcdefghaabcd-efgh-2345-67ab", "abcdefgh-abc--efgh-2345-67ab",
        "correct horse battery staple"}) {
    CAPTURE(text);
    CHECK(selector_of(text).empty());
  }
}
