#include "dovecot-auth/verified.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "shared/base/seeded_hash.h"
#include "shared/base/text.h"
#include "shared/password/random.h"
#include "shared/runtime/log.h"

namespace vmail::auth {
namespace {

using Mac = std::array<unsigned char, 16>;  // half of an HMAC-SHA256

struct Entry {
  std::uint64_t user;  // its keyed hash; zero: the entry is free
  Mac mac;
  Instant until;
};

// A user's entries are in one set of eight: found and forgotten without a search, and nobody drives out more than the
// few others who share it.
constexpr std::size_t kWays = 8;
using Set = std::array<Entry, kWays>;
constexpr std::size_t kSets = Verified::kEntries / kWays;

}  // namespace

struct Verified::Memory {
  Memory() {
    void* pages = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    sets = static_cast<Set*>(pages);
    if (::mlock(pages, kBytes) != 0) {
      log::warning(
          "memory cannot be locked ({}): logins are not remembered; LimitMEMLOCK= of the unit sets how much may be",
          ::strerror(errno));
      ::munmap(pages, kBytes);
      sets = nullptr;
      return;
    }
    ::madvise(pages, kBytes, MADV_DONTDUMP);
    std::string key = password::random_bytes(32);
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end()};
    const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr), EVP_MAC_free);
    context = hmac ? EVP_MAC_CTX_new(hmac.get()) : nullptr;
    const bool good = context != nullptr && EVP_MAC_init(context, octets(key), key.size(), parameters) == 1;
    wipe(key);
    if (!good) throw std::runtime_error("OpenSSL has no HMAC-SHA256 here");
  }
  ~Memory() {
    EVP_MAC_CTX_free(context);
    if (sets == nullptr) return;
    explicit_bzero(sets, kBytes);
    ::munmap(sets, kBytes);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::uint64_t user_hash(std::string_view user) const { return siphash(hash_key, user) | 1; }
  Set& set_of(std::uint64_t user) const { return sets[(user >> 1) % kSets]; }

  Mac mac(std::string_view user, const Secret& stored, const Secret& password) const {
    std::array<unsigned char, 32> digest{};
    std::size_t size = 0;
    const auto add = [&](std::string_view text) {
      const std::uint64_t length = text.size();  // so that no two triples run into one text
      return EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(&length), sizeof length) == 1 &&
             EVP_MAC_update(context, octets(text), text.size()) == 1;
    };
    const bool good = EVP_MAC_init(context, nullptr, 0, nullptr) == 1 && add(user) && add(stored.view()) &&
                      add(password.view()) && EVP_MAC_final(context, digest.data(), &size, digest.size()) == 1;
    if (!good) throw std::runtime_error("OpenSSL cannot compute an HMAC");
    Mac mac{};
    std::copy_n(digest.begin(), mac.size(), mac.begin());
    return mac;
  }

  static constexpr std::size_t kBytes = kSets * sizeof(Set);
  Set* sets = nullptr;
  EVP_MAC_CTX* context = nullptr;  // with its key set: what it is made again from for each hash
  const HashKey hash_key = random_hash_key();
};

Verified::Verified(Duration lifetime) : memory_(std::make_unique<Memory>()), lifetime_(lifetime) {}
Verified::~Verified() = default;

bool Verified::has(std::string_view user, const Secret& stored, const Secret& password, Instant now) const {
  if (memory_->sets == nullptr || lifetime_ == Duration::zero()) return false;
  const std::uint64_t hash = memory_->user_hash(user);
  const Set& set = memory_->set_of(hash);
  const auto is_live = [&](const Entry& entry) { return entry.user == hash && now < entry.until; };
  if (std::none_of(set.begin(), set.end(), is_live)) return false;
  const Mac mac = memory_->mac(user, stored, password);
  return std::any_of(set.begin(), set.end(), [&](const Entry& entry) {
    return is_live(entry) && CRYPTO_memcmp(entry.mac.data(), mac.data(), mac.size()) == 0;
  });
}

void Verified::add(std::string_view user, const Secret& stored, const Secret& password, Instant now) {
  if (memory_->sets == nullptr || lifetime_ == Duration::zero()) return;
  const std::uint64_t hash = memory_->user_hash(user);
  const Mac mac = memory_->mac(user, stored, password);
  Set& set = memory_->set_of(hash);
  // In its own place when it is there already, else in that of the one that ends first; free ones have ended long ago.
  const auto same =
      std::find_if(set.begin(), set.end(), [&](const Entry& entry) { return entry.user == hash && entry.mac == mac; });
  const auto first = std::min_element(set.begin(), set.end(), [](const Entry& a, const Entry& b) {
    return (a.user == 0 ? Instant::min() : a.until) < (b.user == 0 ? Instant::min() : b.until);
  });
  *(same != set.end() ? same : first) = {hash, mac, now + lifetime_};
}

void Verified::forget(std::string_view user) {
  if (memory_->sets == nullptr) return;
  const std::uint64_t hash = memory_->user_hash(user);
  for (Entry& entry : memory_->set_of(hash)) {
    if (entry.user == hash) entry = {};
  }
}

void Verified::clear() {
  if (memory_->sets != nullptr) explicit_bzero(memory_->sets, Memory::kBytes);
}

}  // namespace vmail::auth
