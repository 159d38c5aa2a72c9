#include <vector>

#include "shared/password/forms.h"
#include "shared/password/password.h"
#include "shared/password/sha512_crypt.h"

namespace vmail::password {
namespace {

// Each length up to two blocks of a round, then in steps that are no divisor of a block: every way in which a message
// can end within a block, with every length of a salt.
std::size_t after(std::size_t length) {
  return length < 48 ? length + 1 : length + 13;
}
constexpr std::size_t kLongest = 256;

struct Case {
  Secret password;
  std::string salt;
  std::uint64_t rounds;
};

Case make_case(std::size_t length) {
  std::string password, salt;
  for (std::size_t i = 0; i < length; ++i) password += static_cast<char>(1 + (i * 7 + length) % 255);
  for (std::size_t i = 0; i < length % 17; ++i) salt += kCryptAlphabet[(i * 11 + length) % kCryptAlphabet.size()];
  return {Secret::take(password), salt, 1000 + length % 43};
}

bool is_right(const Case& one, const Secret& digest) {
  const std::string setting = "$6$rounds=" + std::to_string(one.rounds) + '$' + one.salt + '$';
  return compute(one.password,
                 {Scheme::Sha512Crypt, Secret(setting + digest.text()), digest.copy(), one.salt, one.rounds, 0, 0, 0})
             .verdict == Verdict::Match;
}

// All at once, with pauses, as the hash queue does it.
bool are_right(Sha512Engine& engine, const std::vector<Case>& cases) {
  std::vector<std::unique_ptr<Sha512Crypt>> hashes;
  std::vector<Sha512Crypt*> left;
  for (const auto& one : cases) {
    hashes.push_back(std::make_unique<Sha512Crypt>(one.password, one.salt, one.rounds));
    left.push_back(hashes.back().get());
  }
  while (!left.empty()) {
    engine.advance(left, 399);
    std::erase_if(left, [](const Sha512Crypt* hash) { return hash->done(); });
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    if (!is_right(cases[i], hashes[i]->text())) return false;
  }
  return true;
}

}  // namespace

bool agrees_with_libxcrypt(Sha512Engine& engine) {
  std::vector<Case> cases;
  for (std::size_t length = 0; length <= kLongest; length = after(length)) {
    cases.push_back(make_case(length));
    if (cases.size() < engine.width()) continue;
    if (!are_right(engine, cases)) return false;
    cases.clear();
  }
  cases.push_back(make_case(kLongest));
  const bool right = are_right(engine, cases);
  engine.forget();
  return right;
}

Sha512Engines make_sha512_engines() {
  static const bool one_agrees = agrees_with_libxcrypt(*make_openssl_engine());
  using Make = std::unique_ptr<Sha512Engine> (*)();
  static const Make make_several = []() -> Make {
    constexpr std::size_t kAvx512 = 8;
    const auto multi_buffer = make_multi_buffer_engine();
    if (multi_buffer && multi_buffer->width() == kAvx512 && agrees_with_libxcrypt(*multi_buffer)) {
      return make_multi_buffer_engine;
    }
    const auto avx2 = make_avx2_engine();
    return avx2 && agrees_with_libxcrypt(*avx2) ? make_avx2_engine : nullptr;
  }();
  return {one_agrees ? make_openssl_engine() : nullptr, make_several ? make_several() : nullptr};
}

}  // namespace vmail::password
