// What the schema commands have in common about the change feed.
#pragma once

#include "sql/vmailctl/app.h"
#include "sql/vmailctl/change_feed.h"
#include "sql/vmailctl/output.h"

namespace vmail::sql {

// Makes the feed when it is wanted and not as it should be; a server that does not let us is told of, and no error:
// all works without it, later. Returns how it is then.
FeedReport ensure_feed(const App& app, mysql::Connection& connection);
// How it is, for people: a line when all is well, else what is wrong, what follows from it, and what mends it.
void tell_feed(const App& app, const FeedReport& report);
Json as_json(const FeedReport& report);

}  // namespace vmail::sql
