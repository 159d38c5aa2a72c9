#include "shared/maildir/folder_name.h"

#include "tests/support/catch.h"

using namespace vmail::maildir;

TEST_CASE("names of folders") {
  const auto utf7 = [](std::string_view text) { return folder_name(text, FolderNames::Utf7); };
  CHECK(utf7("lists") == ".lists");
  CHECK(utf7("Lists.Debian") == ".Lists.Debian");
  CHECK(utf7("Lists/Debian") == ".Lists.Debian");
  CHECK(utf7("A & B") == ".A &- B");
  // RFC 3501 section 5.1.3, and what Dovecot 2.3 makes of these names.
  CHECK(utf7("~peter") == std::nullopt);
  CHECK(utf7("Entwürfe") == ".Entw&APw-rfe");
  CHECK(utf7("台北/日本語") == ".&U,BTFw-.&ZeVnLIqe-");
  CHECK(utf7("😀x") == ".&2D3eAA-x");
  CHECK(folder_name("Entwürfe", FolderNames::Utf8) == ".Entwürfe");
  CHECK(utf7("inbox") == "");
  CHECK(utf7("INBOX") == "");
}

TEST_CASE("what can be the name of no folder") {
  for (const std::string& text :
       {std::string(), std::string("."), std::string(".."), std::string("a..b"), std::string("/a"), std::string("a/"),
        std::string("a."), std::string("../../etc"), std::string("a/../b"), std::string("INBOX.a"), std::string("a\nb"),
        std::string("a\0b", 3), std::string("\x7f"), std::string("a\xff"), std::string("a%"), std::string("*"),
        std::string("a/~b"), std::string(255, 'a'), std::string(256, 'a')}) {
    CAPTURE(text);
    CHECK_FALSE(folder_name(text, FolderNames::Utf7));
    CHECK_FALSE(folder_name(text, FolderNames::Utf8));
  }
  CHECK(folder_name(std::string(254, 'a'), FolderNames::Utf7));
  // Short enough as it comes, too long as it would be written.
  std::string umlauts;
  for (int i = 0; i < 120; ++i) umlauts += "ü";
  CHECK_FALSE(folder_name(umlauts, FolderNames::Utf7));
  CHECK(folder_name(umlauts, FolderNames::Utf8));
}

TEST_CASE("subscriptions, in both versions of the file") {
  CHECK(subscribe("", ".Junk") == "Junk\n");
  CHECK(subscribe("Sent\n", ".Lists.Debian") == "Sent\nLists.Debian\n");
  CHECK(subscribe("Sent", ".Junk") == "Sent\nJunk\n");
  CHECK_FALSE(subscribe("Sent\nJunk\n", ".Junk"));
  CHECK(subscribe("V\t2\n\nSent\n", ".Lists.Debian") == "V\t2\n\nSent\nLists\tDebian\n");
  CHECK_FALSE(subscribe("V\t2\n\nLists\tDebian\n", ".Lists.Debian"));
  // Dovecot takes nothing but the whole header for one.
  CHECK(subscribe("V\t2", ".Lists.Debian") == "V\t2\nLists.Debian\n");
  CHECK_FALSE(subscribe("V\t2\nLists.Debian\n", ".Lists.Debian"));
}
