// Questions to the administrator. Passwords come from the terminal, unseen, or as one line of standard input.
#pragma once

#include <string>
#include <vector>

#include "shared/base/secret.h"
#include "shared/config/settings.h"

namespace vmail::sql {

// Whether somebody sits there to be asked: standard input is a terminal.
bool can_ask();

// Asked for twice on a terminal, else the first line of standard input. Refusal when it cannot be a mail password:
// empty, longer than passwords.max_length, not UTF-8, with control characters, or not the same twice.
Secret read_new_password(const config::Settings& settings, const std::string& address);

// One that there is already, asked for once. Refusal when none is given.
Secret read_password(const std::string& question);

// Why not, in words; nullptr when it is good. Split off for tests.
const char* why_not_a_password(std::string_view password, std::size_t max_length);

// One of `answers`, asked until one is given; end of input is a Refusal. Only when can_ask().
std::string ask(const std::string& question, const std::vector<std::string>& answers);

}  // namespace vmail::sql
