// Names of folders that outsiders choose by user+detail: none leads out of the mailbox, and no two are one folder by
// accident. The first line is a file of subscriptions, with '|' for its line ends.
#include <algorithm>
#include <string>

#include "shared/maildir/folder_name.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::maildir;

static vmail::fuzz::Reach reached_name("a name");
static vmail::fuzz::Reach reached_utf7("one in modified UTF-7");
static vmail::fuzz::Reach reached_inbox("the inbox");
static vmail::fuzz::Reach reached_refused("a refused name");
static vmail::fuzz::Reach reached_known("a folder subscribed to already");

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = vmail::fuzz::view(data, size);
  const auto line = bytes.find('\n');
  const std::string_view text = line == std::string_view::npos ? std::string_view() : bytes.substr(line + 1);
  const auto utf8 = folder_name(text, FolderNames::Utf8);
  const auto utf7 = folder_name(text, FolderNames::Utf7);
  require(!utf7 || utf8, "what can be written in UTF-7 can in UTF-8");
  for (const auto& name : {utf7, utf8}) {
    if (!name) {
      reached_refused.hit();
      continue;
    }
    if (name->empty()) {
      reached_inbox.hit();
      continue;
    }
    reached_name.hit();
    require(name->front() == '.' && name->size() > 1 && name->size() <= 255, "a folder is hidden, and has a name");
    require(name->find_first_of(std::string_view("/\0\n\r\t", 5)) == std::string::npos, "it is one name");
    require(name->find("..") == std::string::npos && name->back() != '.', "no part of it is empty");
  }
  if (utf7 && utf7 != utf8) {
    reached_utf7.hit();
    require(std::all_of(utf7->begin(), utf7->end(), [](char c) { return c >= ' ' && c <= '~'; }), "UTF-7 is ASCII");
  }
  const auto longer = folder_name(std::string(text) + 'x', FolderNames::Utf7);
  require(!utf7 || utf7 != longer, "another text is another folder");

  if (!utf7 || utf7->empty()) return 0;
  std::string subscriptions(bytes.substr(0, line));
  std::replace(subscriptions.begin(), subscriptions.end(), '|', '\n');
  const auto with = subscribe(subscriptions, *utf7);
  if (!with) reached_known.hit();
  require(!with || (with->substr(0, subscriptions.size()) == subscriptions && with->back() == '\n'), "nothing is lost");
  require(!with || !subscribe(*with, *utf7), "once is enough");
  return 0;
}
