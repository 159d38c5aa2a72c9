#include <algorithm>

#include "shared/base/base64.h"
#include "shared/base/text.h"
#include "shared/password/encoding.h"
#include "shared/password/forms.h"
#include "shared/password/scram.h"

namespace vmail::password {
namespace {

// What is before the next '$' of `text`, which is taken off it with the '$'.
std::string_view take_part(std::string_view& text) {
  const auto end = std::min(text.find('$'), text.size());
  const auto part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// Of "m=65536,t=2,p=1" the number behind `name` and '=', with what follows it taken off `text`.
std::optional<std::uint64_t> take_parameter(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  const auto end = std::min(text.find(','), text.size());
  const auto number = parse_number(text.substr(name.size(), end - name.size()));
  text.remove_prefix(std::min(end + 1, text.size()));
  return number;
}

WhyNot check_argon2_cost(StoredHash& hash, std::string_view parameters, const Limits& limits) {
  const auto memory = take_parameter(parameters, "m=");  // KiB
  const auto passes = take_parameter(parameters, "t=");
  const auto lanes = take_parameter(parameters, "p=");
  if (!memory || !passes || !lanes || !parameters.empty()) return "its Argon2 parameters cannot be read";
  if (*memory > limits.max_memory / 1024) {
    return "it asks Argon2 for more memory than the " + std::to_string(limits.max_memory >> 20) +
           " MiB that are computed with";
  }
  if (*passes > limits.max_passes) {
    return "it asks Argon2 for " + std::to_string(*passes) + " passes, more than the " +
           std::to_string(limits.max_passes) + " that are computed";
  }
  // RFC 9106 section 3.1.
  constexpr std::uint64_t kMaxLanes = 255;
  if (*passes < 1 || *lanes < 1 || *lanes > kMaxLanes || *memory < 8 * *lanes) {
    return "its Argon2 parameters are none that Argon2 has";
  }
  hash.memory = *memory * 1024;
  hash.cost = *passes;
  hash.lanes = static_cast<unsigned>(*lanes);
  return std::nullopt;
}

}  // namespace

WhyNot read_argon2(StoredHash& hash, const Limits& limits) {
  std::string_view rest = hash.text.view().substr(1);
  take_part(rest);  // the name
  std::string_view parameters = take_part(rest);
  hash.version = 0x10;
  if (parameters.starts_with("v=")) {
    if (parameters != "v=16" && parameters != "v=19") return "it is of a version of Argon2 that is not known";
    hash.version = parameters == "v=16" ? 0x10 : 0x13;
    parameters = take_part(rest);
  }
  if (auto why_not = check_argon2_cost(hash, parameters, limits)) return why_not;
  const auto salt = decode_unpadded_base64(take_part(rest));
  auto digest = decode_unpadded_base64(rest);
  // What libargon2 takes; a digest is as long as its maker liked, and one that is cut cannot be told. 16 bytes and more
  // cannot be found by chance.
  if (!salt || salt->size() < 8 || !digest || digest->size() < 16) return "its salt or its hash is cut off or damaged";
  hash.salt = *salt;
  hash.digest = Secret::take(*digest);
  return std::nullopt;
}

WhyNot read_pbkdf2(StoredHash& hash, const Limits& limits) {
  std::string_view rest = hash.text.view();
  if (!rest.starts_with("$1$")) return "it is not of the form $1$salt$rounds$hash";
  rest.remove_prefix(3);
  const auto salt = take_part(rest);
  const auto rounds = parse_number(take_part(rest));
  if (!rounds || *rounds < 1) return "its rounds are not a number from 1 on";
  if (*rounds > limits.max_rounds) {
    return "it asks for " + std::to_string(*rounds) +
           " rounds, more than passwords.max_rounds = " + std::to_string(limits.max_rounds);
  }
  auto digest = decode_hex(rest);
  if (!digest || digest->size() != 20)
    return "its hash does not have 40 hexadecimal digits (is the column wide enough?)";
  hash.salt = salt;
  hash.cost = *rounds;
  hash.digest = Secret::take(*digest);
  return std::nullopt;
}

WhyNot read_scram(StoredHash& hash, const Limits& limits) {
  auto keys = parse_scram_sha256(hash.text.view(), limits.max_rounds);
  if (!keys) {
    return "it is not of the form iterations,salt,StoredKey,ServerKey, with 4096 to passwords.max_rounds iterations";
  }
  hash.salt = std::move(keys->salt);
  hash.cost = keys->iterations;
  hash.digest = std::move(keys->stored_key);
  return std::nullopt;
}

WhyNot read_plain(StoredHash& hash, const Limits&) {
  if (hash.text.empty()) return "there is no password behind its scheme";
  hash.digest = hash.text.copy();
  return std::nullopt;
}

WhyNot read_digest(StoredHash& hash, std::size_t digest_size, bool salted) {
  const std::string_view bytes = hash.text.view();
  if (bytes.size() < digest_size || (!salted && bytes.size() != digest_size)) {
    return "the hash has " + std::to_string(bytes.size()) + " bytes in the place of " + std::to_string(digest_size) +
           (salted ? " and a salt" : "") + " (is the column wide enough?)";
  }
  hash.digest = Secret(bytes.substr(0, digest_size));
  hash.salt = bytes.substr(digest_size);
  return std::nullopt;
}

}  // namespace vmail::password
