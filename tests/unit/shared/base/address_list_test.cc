#include "shared/base/address_list.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

using vmail::AddressList;

namespace {

std::vector<std::string> all(const AddressList& list) {
  std::vector<std::string> addresses;
  for (const auto address : list) addresses.emplace_back(address);
  return addresses;
}

}  // namespace

TEST_CASE("an empty list of addresses") {
  const AddressList list;
  CHECK(list.empty());
  CHECK(list.size() == 0);
  CHECK(list.begin() == list.end());
  CHECK_FALSE(list.contains(""));
  CHECK(list.text().empty());
  CHECK(list == AddressList::from_text(""));
}

TEST_CASE("addresses stay in their order, also when one comes twice") {
  AddressList list{"b@example.org", "a@example.org"};
  list.add("b@example.org");
  CHECK(all(list) == std::vector<std::string>{"b@example.org", "a@example.org", "b@example.org"});
  CHECK(list.size() == 3);
  CHECK_FALSE(list.empty());
}

TEST_CASE("an address is made of parts") {
  AddressList list{"a@example.org"};
  list.add({"u", "+ext", "@", "example.org"});
  list.add({"", "b@example.org"});
  CHECK(all(list) == std::vector<std::string>{"a@example.org", "u+ext@example.org", "b@example.org"});
}

TEST_CASE("only a whole address is contained") {
  const AddressList list{"ab@example.org", "c@example.org"};
  CHECK(list.contains("ab@example.org"));
  CHECK(list.contains("c@example.org"));
  CHECK_FALSE(list.contains("b@example.org"));
  CHECK_FALSE(list.contains("ab@example"));
  CHECK_FALSE(list.contains(""));
}

TEST_CASE("a list is its text") {
  const AddressList list{"a@example.org", "b@example.org"};
  CHECK(list.text() == "a@example.org\nb@example.org\n");
  CHECK(AddressList::from_text(list.text()) == list);
  AddressList other{"c@example.org"};
  CHECK_FALSE(other == list);
  other.assign_text(list.text());
  CHECK(other == list);
  CHECK_FALSE((AddressList{"b@example.org", "a@example.org"} == list));
}

TEST_CASE("a list that is filled again keeps its memory") {
  AddressList list;
  list.add(std::string(1000, 'a'));
  const char* const memory = list.text().data();
  list.clear();
  CHECK(list.empty());
  CHECK(list == AddressList());
  list.assign_text("b@example.org\n");
  CHECK(list.text().data() == memory);
  list = AddressList{"c@example.org", "d@example.org"};
  const AddressList& same = list;
  AddressList copy;
  copy.add(std::string(1000, 'a'));
  const char* const place = copy.text().data();
  copy = same;
  CHECK(copy.text().data() == place);
  CHECK(all(copy) == std::vector<std::string>{"c@example.org", "d@example.org"});
}

TEST_CASE("a walk over a list can be kept and copied") {
  const AddressList list{"a@example.org", "b@example.org"};
  auto at = list.begin();
  const auto first = at++;
  CHECK(*first == "a@example.org");
  CHECK(*at == "b@example.org");
  CHECK_FALSE(first == at);
  CHECK(++at == list.end());
}
