#include "sql/vmailctl/access_values.h"

#include <cstdlib>
#include <ctime>

#include "sql/vmailctl/refusal.h"
#include "tests/support/catch.h"

using namespace vmail::sql;

TEST_CASE("services are a list out of four, or all") {
  CHECK(services_value("imap") == "imap");
  CHECK(services_value("SMTP,imap  pop3, sieve") == "smtp imap pop3 sieve");
  CHECK(services_value("imap imap") == "imap");
  CHECK(services_value("all") == "");
  for (const char* bad : {"", " ", ",", "imaps", "imap all", "imap;smtp", "managesieve"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(services_value(bad), Refusal);
  }
}

TEST_CASE("networks are a list in CIDR form, or all") {
  CHECK(networks_value("192.0.2.0/24") == "192.0.2.0/24");
  CHECK(networks_value("192.0.2.1, 2001:DB8::/32") == "192.0.2.1 2001:db8::/32");
  CHECK(networks_value("all") == "");
  for (const char* bad : {"", "192.0.2.0/33", "192.0.2", "example.org", "all 192.0.2.1"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(networks_value(bad), Refusal);
  }
  std::string many;
  for (int i = 0; i < 256; ++i) many += "192.0.2." + std::to_string(i) + ' ';
  CHECK_THROWS_AS(networks_value(many), Refusal);
}

TEST_CASE("dates are in local time; a day means its begin or its end") {
  ::setenv("TZ", "Europe/Berlin", 1);
  ::tzset();
  CHECK(time_value("never", OfDay::Begin) == 0);
  CHECK(time_value("2027-01-31", OfDay::Begin) == 1801350000);
  CHECK(time_value("2027-01-31", OfDay::End) == 1801350000 + 86399);
  CHECK(time_value("2027-07-31 18:05", OfDay::End) == 1817049900);
  CHECK(time_value("2028-02-29", OfDay::Begin) > 0);
  for (const char* bad :
       {"", "tomorrow", "2027-1-31", "2027-02-29", "2027-13-01", "2027-00-10", "2027-01-31T18:00", "2027-01-31 24:00",
        "2027-01-31 18:60", "2027-01-31 1800", "1969-01-01", "20270131", "2027-01-3x", "-027-01-31"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(time_value(bad, OfDay::Begin), Refusal);
  }
  CHECK(time_text(0) == "-");
  CHECK(time_text(1801350000) == "2027-01-31 00:00");
  CHECK(time_text(time_value("2027-07-31 18:05", OfDay::Begin)) == "2027-07-31 18:05");
}
