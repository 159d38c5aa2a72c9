// See snapshot_records.h for the format.
#include <optional>
#include <utility>

#include "shared/directory/snapshot.h"
#include "shared/directory/snapshot_records.h"

namespace vmail::directory {
namespace {

using namespace snapshot_records;

void write_head(Writer& out, const Snapshot& snapshot) {
  out.begin(Kind::Head);
  out.text(snapshot.database);
  out.text(snapshot.preset);
  out.number(std::int32_t{snapshot.schema_version});
  out.flag(snapshot.domains != nullptr);
  out.number(std::int32_t{snapshot.domains ? snapshot.domains->schema_version : 0});
  out.time(snapshot.domains_read_at);
  out.text(snapshot.domains ? snapshot.domains->rules->fault : "");
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
    rules_->fault = body.text();
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
      case Kind::Rule:
        rule(body);
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
      if (rules_->size() != rule_count_) damaged("rules that do not fit together");
      domains_->rules = std::move(rules_);
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
  void rule(Body& body) {
    if (!has_domains_) damaged("rules where none should be");
    const auto kind = body.number<unsigned char>();
    if (kind >= kRuleKinds) damaged("a rule of an unknown kind");
    const std::string_view name = body.text();
    rules_->add(static_cast<RuleKind>(kind), name, body.text());
    ++rule_count_;
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
  std::shared_ptr<Rules> rules_ = std::make_shared<Rules>();
  std::size_t rule_count_ = 0;
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
    snapshot.domains->rules->each([&](RuleKind kind, std::string_view name, std::string_view value) {
      out.begin(Kind::Rule);
      out.number(static_cast<unsigned char>(kind));
      out.text(name);
      out.text(value);
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
