// What the directory knows, on disk: written now and then and at the end, read at start, so that a restart during an
// outage of the database is as warm as before. No password hash is in it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/clock.h"
#include "shared/directory/domains.h"
#include "shared/directory/feed.h"
#include "shared/directory/row_set.h"
#include "shared/directory/rows.h"

namespace vmail::directory {

struct Snapshot {
  // Rows of another database, or read with other texts, are of no use: such a file is set aside.
  std::string database;  // its name
  std::string preset;
  int schema_version = 0;

  std::shared_ptr<const Domains> domains;
  WallTime domains_read_at;
  // Where the feed was when the rows below were right, or an empty position.
  FeedPosition feed;
  WallTime followed_since;  // rows read since then have been followed by the feed

  struct Row {
    std::string key;
    AddressRow row;
    WallTime read_at;
    bool of_known_address = false;  // see Rows in row_store.h
  };
  std::vector<Row> rows;              // of the cache
  std::shared_ptr<const RowSet> set;  // everything, when it was preloaded; else nullptr
  WallTime set_read_at;
};

// One line that says what is wrong with which file, and what happens next.
class SnapshotError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Any thread, one at a time for one path; all block on the disk.
//
// Replaces the file atomically: written to `path`.new with mode 0600 (one that was left over is replaced), synced,
// renamed, folder synced. Throws SnapshotError; then what stood there before stays.
void write_snapshot(const std::string& path, const Snapshot& snapshot);
// nullptr when there is no file. Throws SnapshotError for one that is damaged, of another format, or not ours alone to
// write: it is for the caller to set aside. The set is left out (nullptr) when it needs more than `max_bytes`.
std::unique_ptr<Snapshot> read_snapshot(const std::string& path, std::size_t max_bytes);
// To `path`.bad, so that an administrator can look at it. When that fails it stays, and the next one takes its place.
void set_aside(const std::string& path);

// The bytes of the file, piece by piece, so that a million rows are never in memory twice; apart for tests and the
// fuzzer. `read` fills in up to `size` bytes and says how many, 0 at the end. Both throw a SnapshotError that says what
// is wrong and names no file.
void encode_snapshot(const Snapshot& snapshot, const std::function<void(std::string_view bytes)>& write);
std::unique_ptr<Snapshot> decode_snapshot(const std::function<std::size_t(char* into, std::size_t size)>& read,
                                          std::size_t max_bytes);

}  // namespace vmail::directory
