// What the parts of the command line are made with; for cli.cc and the files beside it that it is made of.
#pragma once

#include <CLI/CLI.hpp>

#include "sql/vmailctl/cli_arguments.h"

namespace vmail::sql {

// A sub-command that leaves `command` behind when it is named.
CLI::App* add(CLI::App& parent, Arguments& arguments, const char* name, const char* help, Command command);

// cli_mailboxes.cc: the states of mailboxes, and what lies in them.
void add_mailboxes(CLI::App& program, Arguments& a);

}  // namespace vmail::sql
