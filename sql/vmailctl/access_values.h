// What a login may be used for, from the words of an administrator to columns and back. Pure, but for the local time.
// Throws Refusal for what cannot be.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vmail::sql {

// A list out of imap, pop3, smtp and sieve, separated by blanks or commas, each once; "all" is the empty column.
std::string services_value(const std::string& list);
// A list of networks in CIDR form, in the same way.
std::string networks_value(const std::string& list);

// A day, "2027-01-31", or a minute of it, "2027-01-31 18:00", in local time, as seconds since 1970; "never" is 0.
enum class OfDay { Begin, End };  // what a day without a time means
std::int64_t time_value(const std::string& text, OfDay of_day);
// The same for people: up to the minute; "-" for 0.
std::string time_text(std::int64_t seconds);

}  // namespace vmail::sql
