// The format: kMagic, a format version (u32), and records: kind (u8), size of the body (u32), body. The first is the
// Head, the last the End: the SHA-256 of all that is before it. Numbers are little-endian; a text is its size (u32) and
// its bytes; a time is i64 nanoseconds since 1970; a row is as in row_bytes.h.
//
// For snapshot_format.cc alone.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/directory/row_bytes.h"
#include "shared/directory/snapshot.h"

namespace vmail::directory::snapshot_records {

static_assert(std::endian::native == std::endian::little, "numbers are written as the host stores them");

inline constexpr std::string_view kMagic = "vmailkit snapshot\n";
inline constexpr std::uint32_t kFormat = 2;
inline constexpr std::size_t kRecordHead = 5;
// Hundreds of thousands of destinations: more in one row is a mistake.
inline constexpr std::size_t kMaxBody = 16U << 20;
inline constexpr std::size_t kPiece = 256U << 10;

enum class Kind : unsigned char {
  Head = 'H',
  Hole = 'M',
  Domain = 'D',
  Rule = 'U',
  Row = 'R',
  SetRow = 'S',
  End = 'E',
};

class Digest {
 public:
  using Value = std::array<char, 32>;

  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
  }
  void add(std::string_view bytes) {
    if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) throw std::bad_alloc();
  }
  Value value() {
    Value value;
    if (EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(value.data()), nullptr) != 1) {
      throw std::bad_alloc();
    }
    return value;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

[[noreturn]] inline void damaged(const char* why) {
  throw SnapshotError(std::string("is damaged: ") + why);
}

class Writer {
 public:
  using Write = std::function<void(std::string_view)>;

  explicit Writer(const Write& write) : write_(write) {
    buffer_.append(kMagic);
    number(kFormat);
  }

  void begin(Kind kind) {
    buffer_ += static_cast<char>(kind);
    number(std::uint32_t{0});
    body_ = buffer_.size();
  }
  void end() {
    const std::size_t size = buffer_.size() - body_;
    if (size > kMaxBody) {
      throw SnapshotError("a row takes " + std::to_string(size) + " bytes, more than the " + std::to_string(kMaxBody) +
                          " that one may; look for an alias with very many destinations");
    }
    const auto written = static_cast<std::uint32_t>(size);
    std::memcpy(buffer_.data() + body_ - sizeof written, &written, sizeof written);
    if (buffer_.size() >= kPiece) flush();
  }

  template <class Number>
  void number(Number number) {
    buffer_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  void flag(bool flag) { number(static_cast<unsigned char>(flag)); }
  void time(WallTime time) {
    number(std::int64_t{std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count()});
  }
  void text(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    buffer_.append(text);
  }
  void row(const RowView& row) {
    const std::size_t before = buffer_.size();
    buffer_.resize(before + encoded_size(row));
    encode_row(row, buffer_.data() + before);
  }

  void finish() {
    flush();
    begin(Kind::End);
    const auto digest = digest_.value();
    buffer_.append(digest.data(), digest.size());
    end();
    write_(buffer_);
  }

 private:
  void flush() {
    digest_.add(buffer_);
    write_(buffer_);
    buffer_.clear();
  }

  const Write& write_;
  std::string buffer_;
  std::size_t body_ = 0;  // where that of the record begins which is being written
  Digest digest_;
};

// What a record holds, taken off its front.
class Body {
 public:
  explicit Body(std::string_view bytes) : rest_(bytes) {}

  template <class Number>
  Number number() {
    Number number;
    std::memcpy(&number, bytes(sizeof number).data(), sizeof number);
    return number;
  }
  bool flag() {
    const auto flag = number<unsigned char>();
    if (flag > 1) damaged("neither yes nor no");
    return flag == 1;
  }
  WallTime time() { return WallTime(std::chrono::nanoseconds(number<std::int64_t>())); }
  std::string_view text() { return bytes(number<std::uint32_t>()); }
  RowView row() {
    RowView row;
    if (!decode_row(rest_, row)) damaged("a row that is none");
    if (row.key.empty()) damaged("a row without a key");
    if (!is_list(row.destinations)) damaged("a list of addresses that is none");
    return row;
  }
  void end() const {
    if (!rest_.empty()) damaged("more in a record than belongs there");
  }

 private:
  std::string_view bytes(std::size_t size) {
    if (size > rest_.size()) damaged("less in a record than belongs there");
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  // As AddressList::text() gives it: what walks over one relies on it.
  static bool is_list(std::string_view text) {
    if (text.empty()) return true;
    return text.front() != '\n' && text.back() == '\n' && text.find("\n\n") == std::string_view::npos;
  }

  std::string_view rest_;
};

class Reader {
 public:
  using Read = std::function<std::size_t(char*, std::size_t)>;

  explicit Reader(const Read& read) : read_(read) {
    if (take(kMagic.size()) != kMagic) throw SnapshotError("is no snapshot of vmailkit");
    const auto format = Body(take(sizeof kFormat)).number<std::uint32_t>();
    if (format != kFormat) {
      throw SnapshotError("is of format " + std::to_string(format) + ", and this program reads " +
                          std::to_string(kFormat));
    }
  }

  struct Record {
    Kind kind;
    Body body;
  };
  // Valid until the next one. The End comes with nothing in it, and has been checked.
  Record next() {
    Body head(ahead(kRecordHead));
    const auto kind = static_cast<Kind>(head.number<char>());
    const auto size = head.number<std::uint32_t>();
    if (size > kMaxBody) damaged("a record that is too long");
    if (kind == Kind::End) {
      const Digest::Value expected = digest_.value();
      if (size != expected.size()) damaged("an end that is none");
      const std::string_view found = ahead(kRecordHead + size).substr(kRecordHead);
      if (found != std::string_view(expected.data(), expected.size())) damaged("its checksum does not fit");
      from_ += kRecordHead + size;
      if (from_ != to_ || read_some() != 0) damaged("more behind its end");
      return {kind, Body({})};
    }
    return {kind, Body(take(kRecordHead + size).substr(kRecordHead))};
  }

 private:
  std::string_view take(std::size_t size) {
    const std::string_view bytes = ahead(size);
    digest_.add(bytes);
    from_ += size;
    return bytes;
  }
  // Memory is taken for what has come, not for what is said to come.
  std::string_view ahead(std::size_t size) {
    while (to_ - from_ < size) {
      if (read_some() == 0) damaged("it ends early");
    }
    return std::string_view(buffer_).substr(from_, size);
  }
  std::size_t read_some() {
    buffer_.erase(0, from_);
    to_ -= from_;
    from_ = 0;
    if (buffer_.size() < to_ + kPiece) buffer_.resize(to_ + kPiece);
    const std::size_t got = read_(buffer_.data() + to_, buffer_.size() - to_);
    to_ += got;
    return got;
  }

  const Read& read_;
  std::string buffer_;
  std::size_t from_ = 0;
  std::size_t to_ = 0;
  Digest digest_;
};

}  // namespace vmail::directory::snapshot_records
