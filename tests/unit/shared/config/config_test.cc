#include "shared/config/config.h"

#include <sys/stat.h>

#include <string>

#include "shared/config/settings_table.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail::config;

namespace {

std::string error_of(const std::string& text) {
  try {
    parse(text, "test.toml");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// Another good value than the default, so that a round trip shows whether the setting is read at all.
struct Change {
  const Setting& setting;
  void operator()(bool* field) const { *field = !*field; }
  void operator()(std::uint64_t* field) const { *field = *field == setting.min ? *field + 1 : setting.min; }
  void operator()(Milliseconds* field) const { *field = Milliseconds(setting.min + 1234); }
  void operator()(Bytes* field) const { field->count = setting.min + 3; }
  void operator()(std::string* field) const { *field = other(*field); }
  void operator()(std::vector<std::string>* field) const {
    field->clear();
    for (const char* candidate : {"10.1.2.0/24", "2001:db8::/32", "unix:/tmp/a \"quoted\" \\ path", "unix:/b",
                                  "recipients 5/1h", "x@example.org", "80%"}) {
      if (!setting.check || setting.check(candidate).empty()) field->push_back(candidate);
    }
  }
  void operator()(std::vector<QueryMap>* field) const {
    *field = {{"one", "SELECT a FROM b WHERE c = :key AND d = \"\\\""}, {"two", "SELECT\n1 WHERE :user"}};
  }
  std::string other(const std::string& old) const {
    for (const auto& choice : setting.choices) {
      if (choice != old) return std::string(choice);
    }
    for (const std::string candidate :
         {"-_", "/tmp/other \"quoted\" \\ path", "%n/other", "unix:/tmp/other", "127.0.0.1:2525", "other"}) {
      if (candidate != old && (!setting.check || setting.check(candidate).empty())) return candidate;
    }
    return old;
  }
};

struct Text {
  std::string operator()(const bool* field) const { return *field ? "true" : "false"; }
  std::string operator()(const std::uint64_t* field) const { return std::to_string(*field); }
  std::string operator()(const Milliseconds* field) const { return std::to_string(field->count()); }
  std::string operator()(const Bytes* field) const { return std::to_string(field->count); }
  std::string operator()(const std::string* field) const { return *field; }
  std::string operator()(const std::vector<std::string>* field) const {
    std::string all;
    for (const auto& text : *field) all += text + '\n';
    return all;
  }
  std::string operator()(const std::vector<QueryMap>* field) const {
    std::string all;
    for (const auto& map : *field) all += map.name + ": " + map.query + '\n';
    return all;
  }
};

std::string text_of(const Setting& setting, Settings& settings) {
  return std::visit(Text{}, setting.field(settings));
}

}  // namespace

TEST_CASE("the defaults print and read back") {
  Settings defaults;
  Settings read = parse(print(defaults), "test.toml");
  for (const auto& setting : settings_table()) {
    CAPTURE(setting.section, setting.key);
    CHECK(text_of(setting, read) == text_of(setting, defaults));
  }
  CHECK(print(read) == print(defaults));
}

TEST_CASE("every setting prints and reads back") {
  for (const auto& setting : settings_table()) {
    CAPTURE(setting.section, setting.key);
    // "virtual" is the only preset so far; a second one makes this test look at it too.
    if (setting.choices.size() == 1) continue;
    Settings changed;
    const std::string before = text_of(setting, changed);
    std::visit(Change{setting}, setting.field(changed));
    const std::string after = text_of(setting, changed);
    REQUIRE(after != before);
    if (setting.key == "retry_after_max") changed.database.retry_after = Milliseconds(setting.min);
    Settings read = parse(print(changed), "test.toml");
    CHECK(text_of(setting, read) == after);
    CHECK(print(read) == print(changed));
  }
}

TEST_CASE("every setting is documented, and its default is allowed") {
  for (const auto& setting : settings_table()) {
    CAPTURE(setting.section, setting.key);
    CHECK(setting.help.size() > 5);
    CHECK(setting.help.back() == '.');
    CHECK(manual().find(".B " + std::string(setting.key.substr(0, setting.key.find('_')))) != std::string::npos);
    bool known = false;
    for (const auto& section : sections()) known = known || section.name == setting.section;
    CHECK(known);
  }
}

TEST_CASE("an empty file means the defaults") {
  CHECK(print(parse("", "test.toml")) == print(Settings()));
  CHECK(print(parse("# nothing\n", "test.toml")) == print(Settings()));
}

TEST_CASE("values are read with their units") {
  const auto settings = parse(
      "[database]\ndeadline = \"500ms\"\nhosts = [\"db1\", \"db2:3307\"]\n"
      "[directory]\nfound_lifetime = \"7d\"\ncache_size = \"16MiB\"\n"
      "[store]\nmessage_size_limit = 1048576\n[addresses]\npropagate_extension = false\n"
      "[[maps.query]]\nname = \"a\"\nquery = \"1\"\n[[maps.query]]\nname = \"b\"\nquery = '''2\n3'''\n",
      "test.toml");
  CHECK(settings.maps.query == std::vector<QueryMap>{{"a", "1"}, {"b", "2\n3"}});
  CHECK(settings.database.deadline == Milliseconds(500));
  CHECK(settings.database.hosts == std::vector<std::string>{"db1", "db2:3307"});
  CHECK(settings.directory.found_lifetime == std::chrono::hours(7 * 24));
  CHECK(settings.directory.cache_size.count == 16u << 20);
  CHECK(settings.store.message_size_limit.count == 1u << 20);
  CHECK_FALSE(settings.addresses.propagate_extension);
}

TEST_CASE("errors name file, line and key, and what would be right") {
  const struct {
    const char* text;
    const char* error;  // the beginning
  } cases[] = {
      {"[databse]\n", "test.toml:1: databse: there is no such section; did you mean \"database\"?"},
      {"x = 1\n", "test.toml:1: x: there is no such section; known are: database, "},
      {"\n[database]\nhost = [\"a\"]\n",
       "test.toml:3: database.host: there is no such setting; did you mean \"hosts\"?"},
      {"[database]\npassword = \"geheim\"\n", "test.toml:2: database.password: there is no such setting; known are: "},
      {"database = 1\n", "test.toml:1: database: is a section: write [database] on a line of its own"},
      {"[database]\nhosts = \"a\"\n", "test.toml:2: database.hosts: must be a list of texts in brackets"},
      {"[database]\nhosts = [1]\n", "test.toml:2: database.hosts: must be a text in quotes"},
      {"[database]\nhosts = []\n", "test.toml:2: database.hosts: at least one host is needed"},
      {"[database]\nname = 7\n", "test.toml:2: database.name: must be a text in quotes"},
      {"[database]\nname = \"\"\n", "test.toml:2: database.name: \"\" may not be empty"},
      {"[database]\nname = \"a\\u0000b\"\n", "test.toml:2: database.name: holds a NUL character"},
      {"[database]\ntls = \"on\"\n",
       "test.toml:2: database.tls: \"on\" is not one of: off, require, verify-ca, verify-full"},
      {"[database]\ntls_ca = \"ca.pem\"\n", "test.toml:2: database.tls_ca: \"ca.pem\" must be an absolute path"},
      {"[database]\nconnections = 0\n", "test.toml:2: database.connections: must be from 1 to 64"},
      {"[database]\nconnections = 65\n", "test.toml:2: database.connections: must be from 1 to 64"},
      {"[database]\nconnections = -1\n", "test.toml:2: database.connections: must be from 1 to 64"},
      {"[database]\nconnections = 1.5\n", "test.toml:2: database.connections: must be a whole number"},
      {"[database]\nconnections = \"4\"\n", "test.toml:2: database.connections: must be a whole number"},
      {"[database]\ndeadline = 2000\n", "test.toml:2: database.deadline: must be a time in quotes"},
      {"[database]\ndeadline = \"2\"\n", "test.toml:2: database.deadline: must be a time in quotes"},
      {"[database]\ndeadline = \"-2s\"\n", "test.toml:2: database.deadline: must be a time in quotes"},
      {"[database]\ndeadline = \"999999999999999999999d\"\n", "test.toml:2: database.deadline: must be a time"},
      {"[database]\ndeadline = \"1ms\"\n", "test.toml:2: database.deadline: must be from 50ms to 1m"},
      {"[database]\ndeadline = \"2m\"\n", "test.toml:2: database.deadline: must be from 50ms to 1m"},
      {"[database]\nretry_after = \"1h\"\n",
       "test.toml:2: database.retry_after: is longer than database.retry_after_max"},
      {"[database]\nretry_after_max = \"100ms\"\n",
       "test.toml: database.retry_after: is longer than database.retry_after_max"},
      {"[directory]\ncache_size = \"1KiB\"\n", "test.toml:2: directory.cache_size: must be from 64KiB to 1TiB"},
      {"[directory]\ncache_size = \"much\"\n", "test.toml:2: directory.cache_size: must be a size"},
      {"[directory]\ncache_size = -1\n", "test.toml:2: directory.cache_size: must be a size"},
      {"[directory]\npreset = \"mine\"\n", "test.toml:2: directory.preset: \"mine\" is not one of: virtual"},
      {"[addresses]\npropagate_extension = 1\n", "test.toml:2: addresses.propagate_extension: must be true or false"},
      {"[addresses]\nrecipient_delimiter = \"@\"\n", "test.toml:2: addresses.recipient_delimiter: \"@\" may hold"},
      {"[mailboxes]\npath = \"%d\"\n", "test.toml:2: mailboxes.path: \"%d\" must hold %n"},
      {"[mailboxes]\npath = \"../%n\"\n", "test.toml:2: mailboxes.path: \"../%n\" may not have"},
      {"[mailboxes]\npath = \"/%d/%n\"\n", "test.toml:2: mailboxes.path: \"/%d/%n\" must be a path below"},
      {"[mailboxes]\npath = \"%n/%u\"\n", "test.toml:2: mailboxes.path: \"%n/%u\" knows %d and %n only"},
      {"[maps]\nlisten = [\"/run/x\"]\n", "test.toml:2: maps.listen: \"/run/x\" must be \"unix:/PATH\" or"},
      {"[maps]\nlisten = [\"inet:127.0.0.1\"]\n", "test.toml:2: maps.listen: "},
      {"[auth]\nmetrics = [\"inet:10.0.0.1:9101\"]\n",
       "test.toml:2: auth.metrics: \"inet:10.0.0.1:9101\" must be for this host alone: \"unix:/PATH\", "},
      {"[auth]\nmetrics = [\"inet:localhost:9101\"]\n", "test.toml:2: auth.metrics: "},
      {"[auth]\nmetrics = [\"metrics\"]\n", "test.toml:2: auth.metrics: "},
      {"[auth]\nnetworks = [\"10.0.0.0/99\"]\n",
       "test.toml:2: auth.networks: \"10.0.0.0/99\" must end in the length of the prefix, a number from 0 to 32"},
      {"[maps]\nlisten = [\"inet:127.0.0.1:0\"]\n", "test.toml:2: maps.listen: "},
      {"[maps]\nlisten = [\"inet:127.0.0.1:65536\"]\n", "test.toml:2: maps.listen: "},
      {"[maps]\nquery = \"SELECT 1\"\n",
       "test.toml:2: maps.query: is a list of maps: write [[maps.query]] on a line of its own"},
      {"[maps]\nquery = [1]\n", "test.toml:2: maps.query: is a list of maps"},
      {"[[maps.query]]\nnmae = \"a\"\n",
       "test.toml:2: maps.query.nmae: there is no such setting; did you mean \"name\"?"},
      {"[[maps.query]]\nname = 1\n", "test.toml:2: maps.query.name: must be a text in quotes"},
      {"[[maps.query]]\nquery = \"SELECT 1\"\n", "test.toml:1: maps.query: lacks a name"},
      {"[[maps.query]]\nname = \"a\"\n", "test.toml:1: maps.query: the map \"a\" lacks a query"},
      {"[[maps.query]]\nname = \"a\"\nquery = \"1\"\n[[maps.query]]\nname = \"a\"\nquery = \"2\"\n",
       "test.toml:4: maps.query: there are two maps \"a\""},
      {"[database\n", "test.toml:1: not valid TOML: "},
      {"[database]\nname = \"a\"\nname = \"b\"\n", "test.toml:3: not valid TOML: "},
      {"[database]\n\n= 1\n", "test.toml:3: not valid TOML: "},
      {"[database]\nname = \"\xff\"\n", "test.toml:2: not valid TOML: "},
  };
  for (const auto& test : cases) {
    CAPTURE(test.text);
    const std::string error = error_of(test.text);
    CAPTURE(error);
    CHECK(error.compare(0, std::string(test.error).size(), test.error) == 0);
    CHECK(error.find('\n') == std::string::npos);
  }
}

TEST_CASE("files are read, or the error names them") {
  const vmail::test::TempDir dir;
  CHECK(load(dir.write("good.toml", "[database]\nname = \"other\"\n")).database.name == "other");
  CHECK(load(dir.write("empty.toml", "")).database.name == Settings().database.name);

  const auto error = [](const std::string& file) -> std::string {
    try {
      load(file);
    } catch (const Error& failure) {
      return failure.what();
    }
    return "no error";
  };
  const std::string missing = dir.file("missing.toml");
  CHECK(error(missing) == missing + ": cannot be read: No such file or directory; --config FILE names another");
  CHECK(error(dir.path().string()).find(dir.path().string() + ": cannot be read") == 0);
  if (::geteuid() != 0) {
    const auto closed = dir.write("closed.toml", "");
    ::chmod(closed.c_str(), 0);
    CHECK(error(closed) == closed + ": cannot be read: Permission denied");
  }
}

TEST_CASE("what is found wrong later is told with the place of the setting") {
  const vmail::test::TempDir dir;
  const auto file =
      dir.write("late.toml", "[mailboxes]\n\nowner = \"x\"\n[[maps.query]]\nname = \"a\"\nquery = \"1\"\n");
  const auto told = [](const std::string& where, const std::string& key) {
    return tell(SettingError(key, "does not work"), where);
  };
  CHECK(told(file, "mailboxes.owner") == file + ":3: mailboxes.owner: does not work");
  CHECK(told(file, "maps.query") == file + ":4: maps.query: does not work");
  CHECK(told(file, "mailboxes.group") == file + ": mailboxes.group: does not work");
  CHECK(told(file, "store.junk_folder") == file + ": store.junk_folder: does not work");
  const auto broken = dir.write("broken.toml", "[mailboxes\n");
  CHECK(told(broken, "mailboxes.owner") == broken + ": mailboxes.owner: does not work");
  const std::string missing = dir.file("missing.toml");
  CHECK(told(missing, "mailboxes.owner") == missing + ": mailboxes.owner: does not work");
  CHECK(tell(Error("/run/x: does not work"), file) == "/run/x: does not work");
}

TEST_CASE("times and sizes are written in the largest unit that fits") {
  CHECK(duration_text(Milliseconds(0)) == "0ms");
  CHECK(duration_text(Milliseconds(1500)) == "1500ms");
  CHECK(duration_text(Milliseconds(2000)) == "2s");
  CHECK(duration_text(Milliseconds(90000)) == "90s");
  CHECK(duration_text(Milliseconds(3600000)) == "1h");
  CHECK(bytes_text(Bytes{0}) == "0");
  CHECK(bytes_text(Bytes{1025}) == "1025");
  CHECK(bytes_text(Bytes{64u << 20}) == "64MiB");
  CHECK(bytes_text(Bytes{std::uint64_t{3} << 40}) == "3TiB");
}
