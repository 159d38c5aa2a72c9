#include "shared/directory/presets.h"

#include "shared/config/config.h"
#include "tests/support/catch.h"

using vmail::directory::expand_keys;
using vmail::directory::expand_spans;
using vmail::directory::Preset;

TEST_CASE("the text with the greatest version that is not above the schema's") {
  const auto preset = Preset::parse(
      "-- words\n"
      "-- name: a\nSELECT 0;\n"
      "-- name: a\n-- since: 3\n-- more words\nSELECT\n  3;\n\n"
      "-- name: a\n-- since: 5\nSELECT 5;\n"
      "-- name: b\n-- since: 2\nSELECT 2;\n");
  CHECK(preset.text("a", 0) == "SELECT 0");
  CHECK(preset.text("a", 2) == "SELECT 0");
  CHECK(preset.text("a", 3) == "SELECT 3");
  CHECK(preset.text("a", 4) == "SELECT 3");
  CHECK(preset.text("a", 1000) == "SELECT 5");
  CHECK_THROWS_AS(preset.text("b", 1), std::runtime_error);
  CHECK_THROWS_AS(preset.text("c", 1), std::runtime_error);
  CHECK(preset.has("b", 2));
  CHECK_FALSE(preset.has("b", 1));
  CHECK_FALSE(preset.has("c", 1));
}

TEST_CASE("a file that is made wrongly is refused") {
  for (const char* file : {"SELECT 1;\n", "-- name: a\nSELECT 1\n", "-- name: a\nSELECT 1\n-- name: b\nSELECT 2;\n",
                           "-- name: a\n-- since: x\nSELECT 1;\n", "-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n"}) {
    CAPTURE(file);
    CHECK_THROWS_AS(Preset::parse(file), std::runtime_error);
  }
}

TEST_CASE("the built-in preset has every text for every version") {
  const auto preset = Preset::built_in("virtual");
  for (const char* name : {"schema-version", "domains", "addresses", "credentials", "everything"}) {
    for (const int version : {0, 1, 2, 3, 4}) CHECK_FALSE(preset.text(name, version).empty());
  }
  for (const char* name : {"feed", "triggers", "changes", "late-changes", "prunable", "prune"}) {
    CHECK_FALSE(preset.has(name, 3));
    CHECK(preset.has(name, 4));
  }
  for (const char* name : {"note-use", "replace-hash", "keep-scram"}) {
    CHECK_FALSE(preset.has(name, 6));
    CHECK(preset.has(name, 7));
  }
  CHECK(preset.text("credentials", 6).find("app_passwords") == std::string::npos);
  CHECK(preset.text("credentials", 7).find("app_passwords") != std::string::npos);
  CHECK(preset.text("domains", 2).find("enable") == std::string::npos);
  CHECK(preset.text("addresses", 2).find("password") == std::string::npos);
  CHECK(preset.text("addresses", 3).find("password") == std::string::npos);
  CHECK_THROWS_AS(Preset::built_in("postfixadmin"), vmail::config::Error);
}

TEST_CASE("keys become parameter markers") {
  std::size_t uses = 0;
  CHECK(expand_keys("x IN (:keys)", 3, uses) == "x IN (?,?,?)");
  CHECK(uses == 1);
  CHECK(expand_keys(":keys UNION (:keys) y", 1, uses) == "? UNION (?) y");
  CHECK(uses == 2);
  CHECK(expand_keys("none", 2, uses) == "none");
  CHECK(uses == 0);
}

TEST_CASE("spans become pairs of parameter markers") {
  const std::string one = "id BETWEEN CAST(? AS UNSIGNED) AND CAST(? AS UNSIGNED)";
  CHECK(expand_spans("WHERE :spans x", 1) == "WHERE " + one + " x");
  CHECK(expand_spans("WHERE :spans x", 2) == "WHERE " + one + " OR " + one + " x");
}
