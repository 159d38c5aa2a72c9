#include "dovecot-auth/wire/tabs.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

using namespace vmail::auth::tabs;

namespace {

std::vector<std::string> split_text(std::string line, std::size_t max = 16) {
  std::vector<Field> fields(max);
  const std::size_t count = split(line.data(), line.size(), fields.data(), max);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count && i < max; ++i) {
    CHECK(fields[i].text[fields[i].size] == '\0');
    texts.emplace_back(fields[i].text, fields[i].size);
  }
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("tabs: a line is cut at its tabs") {
  CHECK(split_text("") == Texts{""});
  CHECK(split_text("OK") == Texts{"OK"});
  CHECK(split_text("OK\t1\tuser=x") == Texts{"OK", "1", "user=x"});
  CHECK(split_text("\t\t") == Texts{"", "", ""});
}

TEST_CASE("tabs: Dovecot's escapes") {
  CHECK(split_text("a\001tb\001nc\001rd\0011e") == Texts{"a\tb\nc\rd\001e"});
  CHECK(split_text("a\0010b") == Texts{std::string("a\0b", 3)});
  CHECK(split_text("a\001xb") == Texts{"axb"});  // as Dovecot takes one that it does not know
  CHECK(split_text("a\001") == Texts{"a"});
  CHECK(split_text("a\001\tb") == Texts{"a", "b"});
}

TEST_CASE("tabs: more fields than there is room for") {
  Field fields[2];
  std::string line = "a\tb\tc";
  CHECK(split(line.data(), line.size(), fields, 2) == 3);
  line = "a\tb";
  CHECK(split(line.data(), line.size(), fields, 2) == 2);
}

TEST_CASE("tabs: the value of a key") {
  std::string line = "user=joe\tuser\tusers=x\tuser=\tresp==";
  Field fields[8];
  REQUIRE(split(line.data(), line.size(), fields, 8) == 5);
  CHECK(std::string(value_of(fields[0], "user")) == "joe");
  CHECK(value_of(fields[0], "use") == nullptr);
  CHECK(value_of(fields[1], "user") == nullptr);
  CHECK(value_of(fields[2], "user") == nullptr);
  CHECK(std::string(value_of(fields[3], "user")).empty());
  CHECK(std::string(value_of(fields[4], "resp")) == "=");
}

TEST_CASE("tabs: what is written reads back") {
  const std::string all = [] {
    std::string text;
    for (int c = 0; c < 256; ++c) text += static_cast<char>(c);
    return text;
  }();
  char buffer[1024];
  Writer writer(buffer, sizeof buffer);
  writer.word("OK");
  writer.field("user", all.data(), all.size());
  writer.field("empty", "");
  writer.end_line();
  REQUIRE(writer.ok());
  const std::string line(writer.data(), writer.size());
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(line.find('\0') == std::string::npos);
  CHECK(split_text(line.substr(0, line.size() - 1)) == Texts{"OK", "user=" + all, "empty="});
}

TEST_CASE("tabs: what does not fit is an error, not an overflow") {
  for (std::size_t capacity = 0; capacity < 11; ++capacity) {
    CAPTURE(capacity);
    std::vector<char> buffer(capacity);  // the sanitizer watches its end
    Writer writer(buffer.data(), capacity);
    writer.word("OK");
    writer.field("a", "\t\tb", 3);
    writer.end_line();
    CHECK(writer.size() <= capacity);
    CHECK_FALSE(writer.ok());
  }
}
