// The files of sql/ as the program carries them.
#pragma once

#include <span>
#include <string_view>

namespace vmail::sql {

struct SqlText {
  std::string_view name;  // "0001-indexes.sql"
  std::string_view text;
};

std::span<const SqlText> schema_texts();   // schema.sql alone
std::span<const SqlText> upgrade_texts();  // 0001 and later, in their order
std::span<const SqlText> feed_texts();     // feed.sql alone
std::span<const SqlText> grant_texts();    // auth.sql, feed.sql, maps.sql, store.sql

}  // namespace vmail::sql
