#include "dovecot-auth/policy-http/question.h"

#include <nlohmann/json.hpp>

#include "shared/base/text.h"

namespace vmail::auth::policy {
namespace {

constexpr std::size_t kMaxText = 512;

// Dovecot sends what it does not know as an empty text, and as null where a template leaves it out.
bool read(const nlohmann::json& object, const char* key, std::string& text) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return true;
  if (!found->is_string()) return false;
  text = found->get<std::string>();
  return text.size() <= kMaxText;
}

bool read(const nlohmann::json& object, const char* key, bool& flag) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return true;
  if (!found->is_boolean()) return false;
  flag = found->get<bool>();
  return true;
}

}  // namespace

std::optional<Question> parse_question(std::string_view body, std::string& why) {
  const auto object = nlohmann::json::parse(body, nullptr, false);
  if (!object.is_object()) {
    why = "the body is no JSON object";
    return std::nullopt;
  }
  Question question;
  const bool good = read(object, "login", question.login) && read(object, "pwhash", question.password_hash) &&
                    read(object, "remote", question.remote_ip) && read(object, "protocol", question.protocol) &&
                    read(object, "success", question.success) &&
                    read(object, "policy_reject", question.refused_by_policy);
  std::string fail_type;
  if (!good || !read(object, "fail_type", fail_type)) {
    why = "a member of the JSON object is of another type than Dovecot's, or longer than 512 bytes";
    return std::nullopt;
  }
  if (question.login.empty()) {
    why = "the JSON object has no login";
    return std::nullopt;
  }
  question.trouble = fail_type == "internal";
  return question;
}

std::string allowed() {
  return R"({"status":0,"msg":""})";
}

std::string refused(std::string_view message) {
  return nlohmann::json{{"status", -1}, {"msg", printable(message)}}.dump();
}

}  // namespace vmail::auth::policy
