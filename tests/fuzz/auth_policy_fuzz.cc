// What is posted to the auth policy endpoint: any bytes at all are a question with sound parts, or refused in words;
// and no login can spoil the answer.
#include <nlohmann/json.hpp>
#include <string>

#include "dovecot-auth/policy-http/question.h"
#include "tests/fuzz/fuzz.h"

using vmail::fuzz::require;
using namespace vmail::auth::policy;

static vmail::fuzz::Reach reached_question("a question");
static vmail::fuzz::Reach reached_success("a report of a login that was right");
static vmail::fuzz::Reach reached_no_object("what is no JSON object");
static vmail::fuzz::Reach reached_no_login("an object without a login");

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string why;
  const auto question = parse_question(vmail::fuzz::view(data, std::min(size, kMaxBody)), why);
  if (!question) {
    require(!why.empty(), "a refusal says why");
    (why.find("no login") != std::string::npos ? reached_no_login : reached_no_object).hit();
    return 0;
  }
  reached_question.hit();
  if (question->success) reached_success.hit();
  require(!question->login.empty() && question->login.size() <= 512, "a question has a login");
  const auto answer = nlohmann::json::parse(refused(question->login), nullptr, false);
  require(answer.is_object() && answer.size() == 2 && answer["status"] == -1, "an answer is one object");
  return 0;
}
