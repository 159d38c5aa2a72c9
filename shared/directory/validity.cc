#include "shared/directory/validity.h"

#include <algorithm>

namespace vmail::directory {
namespace {

// More marks than this are not worth their memory: everything is asked again instead.
constexpr std::size_t kMaxMarks = 100000;

}  // namespace

void Validity::doubt_all(Instant now) {
  all_ = std::max(all_, now);
  keys_.clear();
  filter_.clear();
  domains_.clear();
}

void Validity::doubt_domain(std::string_view domain, Instant now) {
  domains_.insert_or_assign(std::string(domain), now);
  if (marks() > kMaxMarks) doubt_all(now);
}

void Validity::doubt(std::string_view key, Instant now) {
  keys_.insert_or_assign(std::string(key), now);
  filter_.add(keys_.hash_function()(key));
  if (marks() > kMaxMarks) doubt_all(now);
}

bool Validity::doubted(std::string_view key, Instant read_at) const {
  if (read_at <= all_) return true;
  if (!keys_.empty() && (keys_.size() >= KeyFilter::kKeys || filter_.may_have(keys_.hash_function()(key)))) {
    if (const auto mark = keys_.find(key); mark != keys_.end() && read_at <= mark->second) return true;
  }
  if (!domains_.empty()) {
    const auto mark = domains_.find(key.substr(key.rfind('@') + 1));
    if (mark != domains_.end() && read_at <= mark->second) return true;
  }
  return false;
}

bool Validity::expired(std::string_view key, Kind kind, Instant read_at, Instant now) const {
  if (doubted(key, read_at)) return true;
  const Duration age = now - read_at;
  if (read_at > since_ && is_followed(now)) return age >= lifetimes_.followed;
  const Duration lifetime = kind == Kind::Found      ? lifetimes_.found
                            : kind == Kind::NotFound ? lifetimes_.not_found
                                                     : lifetimes_.credentials;
  return now - right_at(read_at) >= lifetime;
}

}  // namespace vmail::directory
