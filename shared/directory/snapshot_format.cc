// The format: kMagic, a format version (u32), and records: kind (u8), size of the body (u32), body. The first is the
// Head, the last the End: the SHA-256 of all that is before it. Numbers are little-endian; a text is its size (u32) and
// its bytes; a time is i64 nanoseconds since 1970; a row is as in row_bytes.h.
#include <openssl/evp.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "shared/directory/row_bytes.h"
#include "shared/directory/snapshot.h"

namespace vmail::directory {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as the host stores them");

constexpr std::string_view kMagic = "vmailkit snapshot\n";
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kRecordHead = 5;
// Hundreds of thousands of destinations: more in one row is a mistake.
constexpr std::size_t kMaxBody = 16U << 20;
constexpr std::size_t kPiece = 256U << 10;

enum class Kind : unsigned char { Head = 'H', Hole = 'M', Domain = 'D', Row = 'R', SetRow = 'S', End = 'E' };

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

[[noreturn]] void damaged(const char* why) {
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

void write_head(Writer& out, const Snapshot& snapshot) {
  out.begin(Kind::Head);
  out.text(snapshot.database);
  out.text(snapshot.preset);
  out.number(std::int32_t{snapshot.schema_version});
  out.flag(snapshot.domains != nullptr);
  out.number(std::int32_t{snapshot.domains ? snapshot.domains->schema_version : 0});
  out.time(snapshot.domains_read_at);
  out.text(snapshot.feed.identity);
  out.text(snapshot.feed.triggers);
  out.number(snapshot.feed.last);
  out.text(snapshot.feed.witness);
  out.time(snapshot.followed_since);
  out.flag(snapshot.set != nullptr);
  out.time(snapshot.set_read_at);
  out.end();
}

// Puts a snapshot together from its records.
class Assembly {
 public:
  explicit Assembly(std::size_t max_bytes) : set_(std::in_place, max_bytes) {}

  void head(Body& body) {
    snapshot_.database = body.text();
    snapshot_.preset = body.text();
    snapshot_.schema_version = body.number<std::int32_t>();
    has_domains_ = body.flag();
    domains_->schema_version = body.number<std::int32_t>();
    snapshot_.domains_read_at = body.time();
    snapshot_.feed.identity = body.text();
    snapshot_.feed.triggers = body.text();
    snapshot_.feed.last = body.number<std::uint64_t>();
    snapshot_.feed.witness = body.text();
    snapshot_.followed_since = body.time();
    has_set_ = body.flag();
    snapshot_.set_read_at = body.time();
    body.end();
  }
  void record(Kind kind, Body& body) {
    switch (kind) {
      case Kind::Hole:
        hole(body);
        break;
      case Kind::Domain:
        domain(body);
        break;
      case Kind::Row:
        row(body);
        break;
      case Kind::SetRow:
        set_row(body);
        break;
      default:
        damaged("a record of an unknown kind");
    }
    body.end();
  }
  std::unique_ptr<Snapshot> finish() {
    if (has_domains_) {
      domains_->finish();
      if (domains_->size() != domain_count_) damaged("domains that do not fit together");
      snapshot_.domains = std::move(domains_);
    }
    if (has_set_ && set_) {
      snapshot_.set = set_->finish();
      if (snapshot_.set->size() != set_count_) damaged("rows that do not fit together");
    }
    return std::make_unique<Snapshot>(std::move(snapshot_));
  }

 private:
  void hole(Body& body) {
    const auto first = body.number<std::uint64_t>();
    const auto last = body.number<std::uint64_t>();
    const WallTime since = body.time();
    auto& holes = snapshot_.feed.holes;
    if (first > last || (!holes.empty() && first <= holes.back().last)) damaged("a span that is none");
    holes.push_back({first, last, since});
  }
  void domain(Body& body) {
    if (!has_domains_) damaged("domains where none should be");
    const auto kind = static_cast<DomainKind>(body.number<unsigned char>());
    const std::string_view name = body.text();
    const std::string_view target = body.text();
    switch (kind) {
      case DomainKind::Own:
        domains_->add_own(name);
        break;
      case DomainKind::Alias:
        domains_->add_alias(name, target);
        break;
      case DomainKind::Relay:
        domains_->add_relay(name);
        break;
      default:
        damaged("a domain of an unknown kind");
    }
    ++domain_count_;
  }
  void row(Body& body) {
    Snapshot::Row& row = snapshot_.rows.emplace_back();
    row.read_at = body.time();
    row.of_known_address = body.flag();
    const RowView view = body.row();
    row.key = view.key;
    view.copy_to(row.row);
  }
  void set_row(Body& body) {
    if (!has_set_) damaged("rows where none should be");
    const RowView view = body.row();
    if (!set_) return;
    view.copy_to(row_);
    ++set_count_;
    try {
      set_->add(view.key, 0, row_);
    } catch (const RowSet::Builder::TooLarge&) {
      set_.reset();
    }
  }

  Snapshot snapshot_;
  bool has_domains_ = false;
  std::shared_ptr<Domains> domains_ = std::make_shared<Domains>();
  std::size_t domain_count_ = 0;
  bool has_set_ = false;
  std::optional<RowSet::Builder> set_;  // nothing: it is too large
  std::size_t set_count_ = 0;
  AddressRow row_;
};

}  // namespace

void encode_snapshot(const Snapshot& snapshot, const std::function<void(std::string_view bytes)>& write) {
  Writer out(write);
  write_head(out, snapshot);
  for (const auto& hole : snapshot.feed.holes) {
    out.begin(Kind::Hole);
    out.number(hole.first);
    out.number(hole.last);
    out.time(hole.since);
    out.end();
  }
  if (snapshot.domains) {
    snapshot.domains->each([&](const std::string& name, const Domains::Entry& entry) {
      out.begin(Kind::Domain);
      out.number(static_cast<unsigned char>(entry.kind));
      out.text(name);
      out.text(entry.target);
      out.end();
    });
  }
  for (const Snapshot::Row& row : snapshot.rows) {
    out.begin(Kind::Row);
    out.time(row.read_at);
    out.flag(row.of_known_address);
    out.row(RowView(row.key, row.row));
    out.end();
  }
  if (snapshot.set) {
    snapshot.set->each([&](std::string_view key, const AddressRow& row) {
      out.begin(Kind::SetRow);
      out.row(RowView(key, row));
      out.end();
      return true;
    });
  }
  out.finish();
}

std::unique_ptr<Snapshot> decode_snapshot(const std::function<std::size_t(char* into, std::size_t size)>& read,
                                          std::size_t max_bytes) {
  Reader reader(read);
  Reader::Record first = reader.next();
  if (first.kind != Kind::Head) damaged("it does not begin as it should");
  Assembly assembly(max_bytes);
  assembly.head(first.body);
  for (;;) {
    Reader::Record record = reader.next();
    if (record.kind == Kind::End) return assembly.finish();
    assembly.record(record.kind, record.body);
  }
}

}  // namespace vmail::directory
