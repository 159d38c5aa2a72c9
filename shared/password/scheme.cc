#include "shared/password/scheme.h"

#include <array>
#include <utility>

#include "shared/base/base64.h"
#include "shared/base/text.h"
#include "shared/password/encoding.h"
#include "shared/password/forms.h"

namespace vmail::password {
namespace {

constexpr std::size_t kMaxStored = 512;  // without {SCHEME}

// How the bytes of a scheme are written unless its name has a suffix.
enum class Encoding : unsigned char { None, Base64, Hex };

template <std::size_t digest_size, bool salted>
WhyNot read(StoredHash& hash, const Limits&) {
  return read_digest(hash, digest_size, salted);
}

struct Known {
  Scheme scheme;
  std::string_view name;    // of Dovecot; the first of a scheme is the one that we write
  std::string_view prefix;  // by which the hash is known without its name; empty: by none
  WhyNot (*read)(StoredHash&, const Limits&);
  Encoding encoding = Encoding::None;
  // Of a digest without salt: its size. Whether it is base64 or hex is then told by its length (Dovecot's
  // password_decode()).
  std::size_t raw_size = 0;
  bool weak = false;
};
constexpr std::array<Known, 25> kKnown = {{
    {Scheme::Sha512Crypt, "SHA512-CRYPT", "$6$", read_sha512_crypt},
    {Scheme::Sha256Crypt, "SHA256-CRYPT", "$5$", read_sha256_crypt},
    {Scheme::Bcrypt, "BLF-CRYPT", "$2b$", read_bcrypt},
    {Scheme::Bcrypt, "BLF-CRYPT", "$2y$", read_bcrypt},
    {Scheme::Bcrypt, "BLF-CRYPT", "$2a$", read_bcrypt},
    {Scheme::Yescrypt, "CRYPT", "$y$", read_yescrypt},
    {Scheme::Argon2id, "ARGON2ID", "$argon2id$", read_argon2},
    {Scheme::Argon2i, "ARGON2I", "$argon2i$", read_argon2},
    {Scheme::Md5Crypt, "MD5-CRYPT", "$1$", read_md5_crypt, Encoding::None, 0, true},
    {Scheme::Md5Crypt, "MD5", "$1$", read_md5_crypt, Encoding::None, 0, true},
    {Scheme::Pbkdf2, "PBKDF2", "", read_pbkdf2},
    {Scheme::ScramSha256, "SCRAM-SHA-256", "", read_scram},
    {Scheme::SaltedSha1, "SSHA", "", read<20, true>, Encoding::Base64},
    {Scheme::SaltedSha256, "SSHA256", "", read<32, true>, Encoding::Base64},
    {Scheme::SaltedSha512, "SSHA512", "", read<64, true>, Encoding::Base64},
    {Scheme::SaltedMd5, "SMD5", "", read<16, true>, Encoding::Base64, 0, true},
    {Scheme::Sha1, "SHA", "", read<20, false>, Encoding::Base64, 20},
    {Scheme::Sha1, "SHA1", "", read<20, false>, Encoding::Base64, 20},
    {Scheme::Sha256, "SHA256", "", read<32, false>, Encoding::Base64, 32},
    {Scheme::Sha512, "SHA512", "", read<64, false>, Encoding::Base64, 64},
    {Scheme::PlainMd5, "PLAIN-MD5", "", read<16, false>, Encoding::Hex, 16, true},
    {Scheme::LdapMd5, "LDAP-MD5", "", read<16, false>, Encoding::Base64, 16, true},
    {Scheme::Plain, "PLAIN", "", read_plain, Encoding::None, 0, true},
    {Scheme::Plain, "CLEAR", "", read_plain, Encoding::None, 0, true},
    {Scheme::Plain, "CLEARTEXT", "", read_plain, Encoding::None, 0, true},
}};

Parsed bad(std::string why) {
  return {std::nullopt, std::move(why)};
}

// "{NAME.SUFFIX}text" in its parts.
struct Named {
  std::string_view name;  // empty: it is bare
  std::optional<Encoding> encoding;
  std::string_view text;
};

// False when a '{' is not followed by a '}'. A suffix that is not known stays with the name.
bool take_apart(std::string_view stored, Named& named) {
  named.text = stored;
  if (stored.front() != '{') return true;
  const auto end = stored.find('}');
  if (end == std::string_view::npos) return false;
  named.name = stored.substr(1, end - 1);
  named.text = stored.substr(end + 1);
  const auto dot = named.name.rfind('.');
  if (dot == std::string_view::npos) return true;
  const auto suffix = named.name.substr(dot + 1);
  if (equal_ignoring_ascii_case(suffix, "b64") || equal_ignoring_ascii_case(suffix, "base64")) {
    named.encoding = Encoding::Base64;
  } else if (equal_ignoring_ascii_case(suffix, "hex")) {
    named.encoding = Encoding::Hex;
  }
  if (named.encoding) named.name = named.name.substr(0, dot);
  return true;
}

std::optional<Secret> decode(std::string_view text, Encoding encoding) {
  if (encoding == Encoding::None) return Secret(text);
  auto bytes = encoding == Encoding::Hex ? decode_hex(text) : base64_decode(text);
  if (!bytes) return std::nullopt;
  return Secret::take(*bytes);
}

std::string unknown_name(std::string_view name) {
  // The name of a scheme is short; anything else between braces might be a part of a secret.
  constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
  const bool is_name = name.size() <= 16 && name.find_first_not_of(kNameCharacters) == std::string_view::npos;
  return is_name ? "the scheme {" + std::string(name) + "} is not known" : "the name of its scheme is not one";
}

Parsed parse_as(const Known& known, const Secret& text, const Limits& limits) {
  if (known.weak && !limits.allow_weak) {
    return bad("it is a {" + std::string(known.name) + "}, which is weak, and passwords.allow_weak is off");
  }
  if (known.encoding == Encoding::None && text.view().find('\0') != std::string_view::npos) {
    return bad("the hash has a NUL byte in it");
  }
  StoredHash hash{known.scheme, text.copy(), {}, {}, 1, 0, 0, 0};
  if (auto why_not = known.read(hash, limits)) return bad(std::move(*why_not));
  return {std::move(hash), {}};
}

}  // namespace

std::string_view dovecot_name(Scheme scheme) {
  for (const auto& known : kKnown) {
    if (known.scheme == scheme) return known.name;
  }
  return "CRYPT";
}

Parsed parse_hash(std::string_view stored, const Limits& limits) {
  if (stored.empty()) return bad("there is no password hash in the row");
  if (stored.find('\0') != std::string_view::npos) return bad("the hash has a NUL byte in it");
  Named named;
  if (!take_apart(stored, named)) return bad("a '{' begins the name of a scheme, and no '}' ends it");
  if (named.text.size() > kMaxStored) return bad("what is stored is too long for any password hash");

  // {CRYPT} is whatever crypt(3) takes; the hash itself says what it is.
  const bool by_prefix = named.name.empty() || equal_ignoring_ascii_case(named.name, "CRYPT");
  bool name_known = by_prefix;
  for (const auto& known : kKnown) {
    const bool is_named = equal_ignoring_ascii_case(named.name, known.name);
    name_known = name_known || is_named;
    if (!is_named && !(by_prefix && !known.prefix.empty())) continue;
    Encoding encoding = named.encoding.value_or(known.encoding);
    if (known.raw_size != 0) encoding = named.text.size() == 2 * known.raw_size ? Encoding::Hex : Encoding::Base64;
    const auto text = decode(named.text, encoding);
    if (!text) {
      return bad(encoding == Encoding::Hex ? "the hash is not hexadecimal" : "the hash is not base64 (is it cut off?)");
    }
    if (text->view().starts_with(known.prefix)) return parse_as(known, *text, limits);
  }
  if (!name_known) return bad(unknown_name(named.name));
  if (!by_prefix) return bad("the hash is not of the scheme that its {prefix} names");
  return bad("it is not a hash of a known scheme (is it a plain password?)");
}

Secret with_scheme(std::string_view stored, const Limits& limits) {
  const Parsed parsed = parse_hash(stored, limits);
  if (!parsed.hash) return Secret();
  for (const auto& known : kKnown) {
    if (known.scheme != parsed.hash->scheme) continue;
    const std::string_view text = parsed.hash->text.view();
    std::string encoded = known.encoding == Encoding::None  ? std::string(text)
                          : known.encoding == Encoding::Hex ? encode_hex(text)
                                                            : base64_encode(text);
    const Secret written = Secret::take(encoded);
    std::string named;
    named.reserve(known.name.size() + written.view().size() + 2);
    named.append("{").append(known.name).append("}").append(written.view());
    return Secret::take(named);
  }
  return Secret();
}

}  // namespace vmail::password
