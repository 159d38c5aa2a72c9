// The command line of vmailctl: the one translation unit with CLI11 in it.
#pragma once

namespace vmail::sql {

// Exit status: 0 good, 1 refused or a warning, 64 usage, 69 database unavailable, 78 configuration (sysexits.h);
// `status` and `cache stats` end as monitoring expects: 0 good, 1 warning, 2 critical, 3 unknown.
int run(int argc, char** argv);

}  // namespace vmail::sql
