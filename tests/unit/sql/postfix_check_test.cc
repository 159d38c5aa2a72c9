#include "sql/vmailctl/postfix_check.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::sql;

namespace {

const char* const kGood =
    "queue_directory = /var/spool/postfix\n"
    "recipient_delimiter = +\n"
    "propagate_unmatched_extensions = canonical, virtual\n"
    "virtual_mailbox_maps = socketmap:unix:vmailkit/maps:mailboxes\n"
    "virtual_alias_maps = hash:/etc/postfix/virtual, proxy:socketmap:unix:/var/spool/postfix/vmailkit/maps:aliases\n"
    "virtual_alias_domains =\n"
    "smtpd_recipient_restrictions = reject_unauth_destination, check_recipient_access "
    "{ socketmap:unix:vmailkit/maps:recipient-access }\n"
    "virtual_transport = lmtp:unix:vmailkit/lmtp\n"
    "relay_domains = socketmap:unix:other/maps:x, socketmap:inet:127.0.0.1:2527:y, socketmap:unix:\n";

const std::string kSocket = "/var/spool/postfix/vmailkit/maps";

std::vector<Finding> judge(const std::string& more, const config::Settings& settings = {}) {
  const auto parameters = read_parameters(kGood + more);
  return judge_postfix(parameters, settings, maps_on(parameters, kSocket));
}

}  // namespace

TEST_CASE("the maps on our socket are found wherever main.cf names them") {
  const auto maps = maps_on(read_parameters(kGood), kSocket);
  std::string all;
  for (const auto& map : maps) all += map.parameter + ' ' + map.map + '\n';
  CHECK(all ==
        "smtpd_recipient_restrictions recipient-access\nvirtual_alias_maps aliases\nvirtual_mailbox_maps mailboxes\n");
  CHECK(maps_on(read_parameters(""), kSocket).empty());
  CHECK(maps_on(read_parameters("nonsense\n = \n=x\n"), kSocket).empty());
}

TEST_CASE("a main.cf that agrees is told nothing") {
  CHECK(judge("").empty());
}

TEST_CASE("what does not agree is told once, with what to do") {
  const struct {
    const char* line;
    Level level;
    const char* text;
  } cases[] = {
      {"recipient_delimiter =\n", Level::Critical, "recipient_delimiter is \"\" in main.cf and \"+\" in [addresses]"},
      {"recipient_delimiter = +-\n", Level::Critical, "make them the same"},
      {"propagate_unmatched_extensions = virtual\n", Level::Warning, "is without canonical"},
      {"virtual_transport = virtual\n", Level::Critical, "takes no socketmap"},
      {"virtual_alias_domains = socketmap:unix:vmailkit/maps:aliases\n", Level::Warning, "with nothing behind it"},
  };
  for (const auto& test : cases) {
    CAPTURE(test.line);
    const auto findings = judge(test.line);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].level == test.level);
    CHECK(findings[0].text.find(test.text) != std::string::npos);
  }
  config::Settings settings;
  settings.addresses.propagate_extension = false;
  settings.addresses.recipient_delimiter = "-+";
  CHECK(judge("recipient_delimiter = +-\npropagate_unmatched_extensions =\n", settings).empty());
  CHECK(judge("recipient_delimiter = +-\n", settings).size() == 2);
}
