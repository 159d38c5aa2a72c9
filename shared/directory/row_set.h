// All rows of the directory at one moment: an immutable set in little memory, that "unknown" can be told from too.
//
// A row takes its bytes (row_bytes.h: its key and 2 more for a mailbox; what an alias leads to and 2 more) and 10 in
// the table; while it is built up to 20 in the table, and each part beyond a row's first another 40. For a million
// mailboxes with addresses of 40 bytes that is 52 MB, and at most 62 MB while they are read; the set that they will
// replace is there beside it. All of it is mapped from the kernel and so goes back when it is dropped: nothing needs a
// malloc_trim().
//
// Built and destroyed on a worker (giving back a million rows takes milliseconds); once finished it is read from any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "shared/directory/rows.h"

namespace vmail::directory {

class RowSet {
 public:
  class Builder;

  ~RowSet();

  // False: there is no such row, and `into` is empty. Into a row that is used again and again nothing is allocated.
  bool find(std::string_view key, AddressRow& into) const;
  bool contains(std::string_view key) const;
  // In no order that means anything; for snapshots and comparisons. `visit` returns false to end it; what it is given
  // is valid until it returns.
  void each(const std::function<bool(std::string_view key, const AddressRow& row)>& visit) const;
  std::size_t size() const;
  std::size_t bytes() const;  // of memory, all of it

 private:
  struct Data;
  explicit RowSet(std::unique_ptr<const Data> data);
  std::unique_ptr<const Data> data_;
};

// Parts of a row may come apart and in any order (the mailbox from one table, each destination from another); they are
// put together by finish(). One thread at a time.
class RowSet::Builder {
 public:
  // Its text says of which bound.
  class TooLarge : public std::runtime_error {
   public:
    using std::runtime_error::runtime_error;
  };

  explicit Builder(std::size_t max_bytes);
  ~Builder();

  // `key` is an address_key(); nothing happens when it or the part is empty. `part` is joined with what there is: a
  // mailbox, destinations (in the order of `order`, each once), aliases_off (which counts only when no destination is
  // on), a fault (two mailboxes make one, of several others that of the least order counts; a row with a fault has
  // nothing else).
  //
  // Throws TooLarge as soon as the parts need more than `max_bytes`; then the builder is of no further use. The rows
  // that are made of them need no more, but for the words about two mailboxes.
  void add(std::string_view key, std::uint64_t order, const AddressRow& part);

  // Once, after the last add.
  std::shared_ptr<const RowSet> finish();

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

}  // namespace vmail::directory
