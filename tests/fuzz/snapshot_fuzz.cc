// The snapshot's decoder: as it comes, and with the end that makes its checksum fit, since no mutation finds that. What
// is taken reads back from what is written of it.
#include <openssl/sha.h>

#include <algorithm>
#include <memory>
#include <string>

#include "shared/directory/snapshot.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::directory;

static vmail::fuzz::Reach reached_taken("a snapshot");
static vmail::fuzz::Reach reached_domains("one with domains");
static vmail::fuzz::Reach reached_rules("one with rules");
static vmail::fuzz::Reach reached_feed("one with a feed");
static vmail::fuzz::Reach reached_rows("one with rows of the cache");
static vmail::fuzz::Reach reached_set("one with a set");
static vmail::fuzz::Reach reached_too_large("one whose set is too large");
static vmail::fuzz::Reach reached_refused("a damaged one");

namespace {

constexpr std::size_t kPlenty = 4U << 20;

// nullptr when it is refused.
std::unique_ptr<Snapshot> decode(std::string_view bytes, std::size_t max_bytes, std::size_t step) {
  const auto read = [&](char* into, std::size_t size) {
    const std::size_t piece = std::min({size, step, bytes.size()});
    std::copy_n(bytes.data(), piece, into);
    bytes.remove_prefix(piece);
    return piece;
  };
  try {
    return decode_snapshot(read, max_bytes);
  } catch (const SnapshotError&) {
    return nullptr;
  }
}

std::string sealed(std::string_view bytes) {
  std::string whole(bytes);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  whole.append("E\x20\0\0\0", 5);
  whole.append(reinterpret_cast<const char*>(digest), sizeof digest);
  return whole;
}

bool same(const Snapshot& a, const Snapshot& b) {
  if (a.database != b.database || a.preset != b.preset || a.schema_version != b.schema_version) return false;
  if (!(a.feed == b.feed) || a.followed_since != b.followed_since) return false;
  if (a.domains_read_at != b.domains_read_at || a.set_read_at != b.set_read_at) return false;
  if (!a.domains != !b.domains || !a.set != !b.set) return false;
  if (a.domains && a.domains->size() != b.domains->size()) return false;
  if (a.domains && a.domains->rules->size() != b.domains->rules->size()) return false;
  if (a.domains && a.domains->rules->fault != b.domains->rules->fault) return false;
  const auto same_row = [](const Snapshot::Row& x, const Snapshot::Row& y) {
    return x.key == y.key && x.row == y.row && x.read_at == y.read_at && x.of_known_address == y.of_known_address;
  };
  if (!std::equal(a.rows.begin(), a.rows.end(), b.rows.begin(), b.rows.end(), same_row)) return false;
  if (!a.set) return true;
  bool all = a.set->size() == b.set->size();
  a.set->each([&](std::string_view key, const AddressRow& row) {
    AddressRow other;
    all = all && b.set->find(key, other) && other == row;
    return all;
  });
  return all;
}

// What walks over a list of destinations relies on its form.
void walk(const Snapshot& snapshot) {
  std::size_t walked = 0;
  for (const auto& row : snapshot.rows) {
    for (const auto destination : row.row.destinations) walked += destination.size() + 1;
    require(!row.key.empty(), "a row has a key");
  }
  if (snapshot.set) {
    snapshot.set->each([&](std::string_view key, const AddressRow& row) {
      for (const auto destination : row.destinations) walked += destination.size() + 1;
      require(!key.empty() && !row.empty(), "a row of a set has a key and says something");
      return true;
    });
  }
  require(walked < kPlenty, "a walk ends");
}

void check(std::string_view bytes) {
  const auto snapshot = decode(bytes, kPlenty, bytes.size());
  const auto in_pieces = decode(bytes, kPlenty, 7);
  require(!snapshot == !in_pieces, "pieces of seven are taken alike");
  if (!snapshot) return reached_refused.hit();
  reached_taken.hit();
  require(same(*snapshot, *in_pieces), "pieces of seven give the same");
  walk(*snapshot);
  if (snapshot->domains && snapshot->domains->size() > 0) reached_domains.hit();
  if (snapshot->domains && snapshot->domains->rules->size() > 0) reached_rules.hit();
  if (!snapshot->feed.holes.empty()) reached_feed.hit();
  if (!snapshot->rows.empty()) reached_rows.hit();
  if (snapshot->set && snapshot->set->size() > 0) {
    reached_set.hit();
    const auto without = decode(bytes, 1, bytes.size());
    require(without != nullptr && without->set == nullptr, "a set that is too large is left out");
    reached_too_large.hit();
  }

  std::string written;
  encode_snapshot(*snapshot, [&](std::string_view piece) { written += piece; });
  const auto back = decode(written, kPlenty, written.size());
  require(back != nullptr && same(*snapshot, *back), "what is written reads back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = vmail::fuzz::view(data, size);
  check(bytes);
  check(sealed(bytes));
  return 0;
}
