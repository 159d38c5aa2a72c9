#include "shared/directory/row_set.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <new>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "shared/base/seeded_hash.h"
#include "shared/base/text.h"
#include "shared/directory/row_bytes.h"

namespace vmail::directory {
namespace {

// Zeroed memory straight from the kernel: malloc would keep much of it after a reload.
class Pages {
 public:
  Pages() = default;
  explicit Pages(std::size_t size) : size_(size) {
    if (size == 0) return;
    void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    at_ = static_cast<char*>(at);
  }
  Pages(Pages&& other) noexcept : at_(std::exchange(other.at_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Pages() {
    if (at_ != nullptr) ::munmap(at_, size_);
  }

  char* at() const { return at_; }
  std::size_t size() const { return size_; }

 private:
  char* at_ = nullptr;
  std::size_t size_ = 0;
};

// `Item`s that all-zero bytes make a value of.
template <class Item>
class Array {
 public:
  Array() = default;
  explicit Array(std::size_t size) : pages_(size * sizeof(Item)) {}

  std::size_t size() const { return pages_.size() / sizeof(Item); }
  std::size_t bytes() const { return pages_.size(); }
  Item* begin() const { return reinterpret_cast<Item*>(pages_.at()); }
  Item* end() const { return begin() + size(); }
  Item& operator[](std::size_t i) const { return begin()[i]; }

 private:
  Pages pages_;
};

// Where something in an arena begins: the number of its chunk and the place in it.
using Reference = std::uint64_t;
constexpr unsigned kChunkBits = 20;
constexpr unsigned kReferenceBits = 40;
constexpr std::size_t kChunk = std::size_t{1} << kChunkBits;

// Bytes one behind the other. Nothing is ever moved, so that growing needs no second copy.
class Arena {
 public:
  // Memory for `size` bytes, and the reference to it.
  std::pair<Reference, char*> add(std::size_t size) {
    if (chunks_.empty() || chunks_.back().pages.size() - chunks_.back().used < size) {
      if (chunks_.size() == std::size_t{1} << (kReferenceBits - kChunkBits)) throw std::bad_alloc();
      // One that is larger has a chunk of its own: then its place is 0, and every place fits its bits.
      chunks_.push_back(Chunk{Pages(std::max(size, kChunk)), 0});
    }
    Chunk& chunk = chunks_.back();
    const Reference reference = (chunks_.size() - 1) << kChunkBits | chunk.used;
    char* const at = chunk.pages.at() + chunk.used;
    chunk.used += size;
    used_ += size;
    return {reference, at};
  }
  // From there to the end of its chunk.
  std::string_view from(Reference reference) const {
    return chunks_[reference >> kChunkBits].rest(reference & (kChunk - 1));
  }
  std::size_t used() const { return used_; }
  std::size_t bytes() const {
    std::size_t bytes = chunks_.capacity() * sizeof(Chunk);
    // What was never written to in a chunk is not there yet, but for the rest of its last page.
    for (const Chunk& chunk : chunks_) bytes += (chunk.used + 4095) / 4096 * 4096;
    return bytes;
  }

  // visit(reference, bytes) takes one thing off the front of `bytes`; false ends it.
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
      if (!chunks_[i].each(i, visit)) return;
    }
  }
  // The same for all, giving back each chunk that has been visited.
  template <class Visit>
  void drain(Visit visit) {
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
      const Chunk chunk = std::move(chunks_[i]);
      chunk.each(i, visit);
    }
    chunks_.clear();
    used_ = 0;
  }

 private:
  struct Chunk {
    Pages pages;
    std::size_t used;

    std::string_view rest(std::size_t place) const { return {pages.at() + place, used - place}; }
    template <class Visit>
    bool each(std::size_t number, Visit& visit) const {
      for (std::string_view bytes = rest(0); !bytes.empty();) {
        if (!visit(number << kChunkBits | (used - bytes.size()), bytes)) return false;
      }
      return true;
    }
  };

  std::vector<Chunk> chunks_;
  std::size_t used_ = 0;
};

void take_row(std::string_view& bytes, RowView& row) {
  [[maybe_unused]] const bool taken = decode_row(bytes, row);
  assert(taken && "what was encoded is decoded");
}

// Rows and an open-addressing table of them. A slot is 0 or a row's reference + 1, and above it as many bits of the
// hash as fit: a look-up touches few rows but its own.
class Table {
 public:
  static constexpr std::size_t kBytesPerSlot = sizeof(std::uint64_t);
  // At most four in five are taken: 3 slots are seen on the way to a row, 13 to find that there is none.
  static std::size_t slots_for(std::size_t rows) { return rows + rows / 4 + 1; }

  std::uint64_t hash(std::string_view key) const { return siphash(hash_key_, key); }

  bool find(std::uint64_t hash, std::string_view key, Reference& reference, RowView& row) const {
    for (std::size_t i = place(hash); slots_[i] != 0; i = next(i)) {
      if (slots_[i] >> kReferenceBits != tag(hash)) continue;
      reference = (slots_[i] & kReferenceMask) - 1;
      std::string_view bytes = arena_.from(reference);
      take_row(bytes, row);
      if (row.key == key) return true;
    }
    return false;
  }
  // Of a key that is not there yet. The table must have room.
  void add(std::uint64_t hash, const RowView& row) { enter(hash, add_unindexed(row)); }
  // Found only after make_table().
  Reference add_unindexed(const RowView& row) {
    const auto [reference, at] = arena_.add(encoded_size(row));
    encode_row(row, at);
    ++count_;
    return reference;
  }

  void drop_table() { slots_ = Array<std::uint64_t>(); }
  // From the rows, so that no two tables are held at once.
  void make_table(std::size_t slots) {
    drop_table();
    slots_ = Array<std::uint64_t>(slots);
    // Each slot is somewhere else in memory: asked for some rows ahead, it has come when the row is entered.
    std::array<std::pair<std::uint64_t, Reference>, 16> ahead;
    std::size_t seen = 0;
    arena_.each([&](Reference reference, std::string_view& bytes) {
      RowView row;
      take_row(bytes, row);
      const std::uint64_t hash = this->hash(row.key);
      __builtin_prefetch(&slots_[place(hash)], 1);
      auto& pending = ahead[seen % ahead.size()];
      if (seen++ >= ahead.size()) enter(pending.first, pending.second);
      pending = {hash, reference};
      return true;
    });
    for (std::size_t i = 0; i < std::min(seen, ahead.size()); ++i) enter(ahead[i].first, ahead[i].second);
  }

  std::size_t count() const { return count_; }
  std::size_t slots() const { return slots_.size(); }
  const Arena& arena() const { return arena_; }
  Arena& arena() { return arena_; }
  std::size_t bytes() const { return arena_.bytes() + slots_.bytes(); }
  const HashKey& hash_key() const { return hash_key_; }

 private:
  static constexpr std::uint64_t kReferenceMask = (std::uint64_t{1} << kReferenceBits) - 1;

  static std::uint64_t tag(std::uint64_t hash) { return hash & ((std::uint64_t{1} << (64 - kReferenceBits)) - 1); }
  // Scales the upper half of the hash to the number of slots, which is far below 2^32 and no power of two.
  std::size_t place(std::uint64_t hash) const { return (hash >> 32) * slots_.size() >> 32; }
  std::size_t next(std::size_t i) const { return i + 1 == slots_.size() ? 0 : i + 1; }
  void enter(std::uint64_t hash, Reference reference) {
    std::size_t i = place(hash);
    while (slots_[i] != 0) i = next(i);
    slots_[i] = tag(hash) << kReferenceBits | (reference + 1);
  }

  HashKey hash_key_ = random_hash_key();
  Arena arena_;
  Array<std::uint64_t> slots_;
  std::size_t count_ = 0;
};

// A part beyond its row's first, as it is sorted: in the order of the rows, then of its own.
struct Further {
  Reference row;
  std::uint64_t order;
  Reference part;

  bool operator<(const Further& other) const {
    return row != other.row ? row < other.row : order != other.order ? order < other.order : part < other.part;
  }
};

// Puts the parts of one row together, in their order.
class Joiner {
 public:
  explicit Joiner(HashKey key) : hash_{key} {}

  // Valid until the next call.
  RowView join(const std::vector<RowView>& parts, std::string_view key) {
    RowView row;
    row.key = key;
    destinations_.clear();
    Seen seen(0, hash_);
    bool second_mailbox = false;
    for (const RowView& part : parts) {
      if (part.mailbox != AddressRow::Mailbox::None) {
        second_mailbox = row.mailbox != AddressRow::Mailbox::None;
        row.mailbox = part.mailbox;
        row.domain = part.domain;
      }
      if (row.fault.empty()) row.fault = part.fault;
      row.aliases_off = row.aliases_off || part.aliases_off;
      add(part.destinations, seen);
    }
    if (second_mailbox) {
      fault_ = "there are two mailboxes " + printable(key);
      row.fault = fault_;
    }
    return finish(row);
  }

 private:
  using Seen = std::unordered_set<std::string_view, SeededHash>;

  void add(std::string_view text, Seen& seen) {
    while (!text.empty()) {
      const auto end = text.find('\n');
      const std::string_view destination = text.substr(0, end);
      if (seen.insert(destination).second) destinations_.add(destination);
      text.remove_prefix(end + 1);
    }
  }
  RowView finish(RowView row) const {
    if (!row.fault.empty()) {
      RowView faulty;
      faulty.key = row.key;
      faulty.fault = row.fault;
      return faulty;
    }
    row.destinations = destinations_.text();
    row.aliases_off = row.aliases_off && destinations_.empty();
    return row;
  }

  SeededHash hash_;
  AddressList destinations_;
  std::string fault_;
};

}  // namespace

struct RowSet::Data {
  Table rows;
};

RowSet::RowSet(std::unique_ptr<const Data> data) : data_(std::move(data)) {}
RowSet::~RowSet() = default;

bool RowSet::find(std::string_view key, AddressRow& into) const {
  const Table& rows = data_->rows;
  Reference reference = 0;
  RowView row;
  const bool found = rows.find(rows.hash(key), key, reference, row);
  (found ? row : RowView()).copy_to(into);
  return found;
}

bool RowSet::contains(std::string_view key) const {
  const Table& rows = data_->rows;
  Reference reference = 0;
  RowView row;
  return rows.find(rows.hash(key), key, reference, row);
}

void RowSet::each(const std::function<bool(std::string_view key, const AddressRow& row)>& visit) const {
  AddressRow row;
  data_->rows.arena().each([&](Reference, std::string_view& bytes) {
    RowView view;
    take_row(bytes, view);
    view.copy_to(row);
    return visit(view.key, row);
  });
}

std::size_t RowSet::size() const {
  return data_->rows.count();
}

std::size_t RowSet::bytes() const {
  return sizeof(RowSet) + sizeof(Data) + data_->rows.bytes();
}

struct RowSet::Builder::Work {
  explicit Work(std::size_t its_max_bytes) : max_bytes(its_max_bytes) { rows.make_table(Table::slots_for(kFirstRows)); }

  void need(std::size_t more) {
    needed += more;
    if (needed > max_bytes) {
      throw TooLarge("all rows need more than the " + std::to_string(max_bytes) +
                     " bytes that [directory] preload_size allows");
    }
  }

  // What is known of the parts beyond the first, sorted.
  Array<Further> sorted() const {
    Array<Further> all(further_count);
    Further* next = all.begin();
    further.each([&](Reference part, std::string_view& bytes) {
      RowView view;
      const Reference row = take_further(bytes, view);
      *next++ = Further{row, view.order, part};
      return true;
    });
    std::sort(all.begin(), all.end());
    return all;
  }

  // A part beyond the first is the reference of the first and a row without key.
  static Reference take_further(std::string_view& bytes, RowView& part) {
    Reference row;
    std::copy_n(bytes.data(), sizeof row, reinterpret_cast<char*>(&row));
    bytes.remove_prefix(sizeof row);
    take_row(bytes, part);
    return row;
  }

  static constexpr std::size_t kFirstRows = 1000;

  const std::size_t max_bytes;
  std::size_t needed = 0;
  Table rows;  // the first parts
  Arena further;
  std::size_t further_count = 0;
};

RowSet::Builder::Builder(std::size_t max_bytes) : work_(std::make_unique<Work>(max_bytes)) {}
RowSet::Builder::~Builder() = default;

void RowSet::Builder::add(std::string_view key, std::uint64_t order, const AddressRow& part) {
  if (key.empty() || part.empty()) return;
  Work& work = *work_;
  RowView view(key, part);
  // The order of a mailbox means nothing.
  view.order = part.destinations.empty() && part.fault.empty() ? 0 : order;

  const std::uint64_t hash = work.rows.hash(key);
  Reference reference = 0;
  RowView first;
  if (work.rows.find(hash, key, reference, first)) {
    view.key = {};
    const std::size_t size = sizeof reference + encoded_size(view);
    work.need(size);
    char* at = work.further.add(size).second;
    at = std::copy_n(reinterpret_cast<const char*>(&reference), sizeof reference, at);
    encode_row(view, at);
    ++work.further_count;
    return;
  }
  work.need(encoded_size(view) + Table::kBytesPerSlot + Table::kBytesPerSlot / 4);
  if (Table::slots_for(work.rows.count() + 1) > work.rows.slots()) work.rows.make_table(work.rows.slots() * 2);
  work.rows.add(hash, view);
}

std::shared_ptr<const RowSet> RowSet::Builder::finish() {
  const std::unique_ptr<Work> work = std::move(work_);
  work->rows.drop_table();
  const Array<Further> sorted = work->sorted();
  const Further* further = sorted.begin();
  auto data = std::make_unique<Data>();
  Joiner joiner(work->rows.hash_key());
  std::vector<RowView> parts;
  // The rows are met in the order in which the further parts have been sorted.
  work->rows.arena().drain([&](Reference reference, std::string_view& bytes) {
    RowView row;
    take_row(bytes, row);
    parts.assign(1, row);
    for (; further != sorted.end() && further->row == reference; ++further) {
      std::string_view rest = work->further.from(further->part);
      Work::take_further(rest, parts.emplace_back());
    }
    std::stable_sort(parts.begin(), parts.end(), [](const RowView& a, const RowView& b) { return a.order < b.order; });
    data->rows.add_unindexed(joiner.join(parts, row.key));
    return true;
  });
  data->rows.make_table(Table::slots_for(data->rows.count()));
  return std::shared_ptr<const RowSet>(new RowSet(std::move(data)));
}

}  // namespace vmail::directory
