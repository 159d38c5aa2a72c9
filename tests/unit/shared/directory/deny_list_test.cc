#include "shared/directory/deny_list.h"

#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "shared/config/config.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using directory::DenyList;
using nlohmann::json;

namespace {

json tell(DenyList& list, const char* command, const char* address) {
  return *list.answer_control({{"command", command}, {"address", address}});
}

}  // namespace

TEST_CASE("deny list: a lock holds for every spelling, and outlives the process") {
  test::TempDir folder;
  {
    DenyList list(folder.path());
    CHECK_FALSE(list.contains("u@d.org"));
    CHECK(tell(list, "lock", "U@D.org") == json{{"ok", true}, {"was_locked", false}});
    CHECK(tell(list, "lock", "u@d.org") == json{{"ok", true}, {"was_locked", true}});
    CHECK(tell(list, "lock",
               "#1@b\xc3\xbc"
               "cher.example") == json{{"ok", true}, {"was_locked", false}});
    CHECK(list.contains("u@d.ORG"));
  }
  DenyList again(folder.path());
  CHECK(again.size() == 2);
  CHECK(again.contains("u@d.org"));
  CHECK(again.contains("#1@xn--bcher-kva.example"));
  CHECK_FALSE(again.contains("v@d.org"));
  CHECK_FALSE(again.contains("no address"));
  CHECK(tell(again, "unlock", "u@d.org") == json{{"ok", true}, {"was_locked", true}});
  CHECK(tell(again, "unlock", "u@d.org") == json{{"ok", true}, {"was_locked", false}});
  CHECK((*again.answer_control({{"command", "locked"}})).at("locked") == json{"#1@xn--bcher-kva.example"});
  CHECK_FALSE(DenyList(folder.path()).contains("u@d.org"));
}

TEST_CASE("deny list: what is no address is refused, and other commands are not its own") {
  DenyList list("");
  for (const char* address : {"", "u", "@d.org", "u@", "a b@@c"}) {
    CAPTURE(address);
    CHECK(tell(list, "lock", address).contains("error"));
  }
  CHECK(list.empty());
  CHECK_FALSE(list.answer_control({{"command", "flush"}}));
}

TEST_CASE("deny list: a list that cannot be read keeps the daemon from starting") {
  test::TempDir folder;
  const std::string path = folder.file("locked-logins");
  SECTION("others may write to it") {
    folder.write("locked-logins", "u@d.org\n");
    ::chmod(path.c_str(), 0666);
  }
  SECTION("it is a folder") {
    ::mkdir(path.c_str(), 0700);
  }
  SECTION("it is a link") {
    REQUIRE(::symlink("elsewhere", path.c_str()) == 0);
  }
  CHECK_THROWS_AS(DenyList(folder.path()), config::Error);
}

TEST_CASE("deny list: a line that is no address is passed over") {
  test::TempDir folder;
  folder.write("locked-logins", "u@d.org\nwhat\n\nv@d.org");
  DenyList list(folder.path());
  CHECK(list.size() == 2);
}

TEST_CASE("deny list: where the disk fails a lock holds, and an unlock does not") {
  test::TempDir folder;
  const std::string state = folder.file("state");
  ::mkdir(state.c_str(), 0700);
  DenyList list(state);
  tell(list, "lock", "u@d.org");
  ::unlink((state + "/locked-logins").c_str());
  REQUIRE(::rmdir(state.c_str()) == 0);
  CHECK(tell(list, "lock", "v@d.org").contains("error"));
  CHECK(list.contains("v@d.org"));
  CHECK(tell(list, "unlock", "u@d.org").contains("error"));
  CHECK(list.contains("u@d.org"));
}
