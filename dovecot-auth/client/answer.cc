#include "dovecot-auth/client/answer.h"

#include <string.h>

#include "dovecot-auth/verify/protocol.h"

namespace vmail::auth::client {

Answer read_answer(char* reply, size_t size, tabs::Field* fields, size_t max_fields) {
  const size_t count = tabs::split(reply, size, fields, max_fields);
  // Whatever is neither is temporary: nobody is refused for a misunderstanding.
  Answer answer = {Answer::Temporary, count, "vmail-authd gave an answer of another version"};
  if (count > max_fields) return answer;
  if (strcmp(fields[0].text, protocol::kOk) == 0) answer.status = Answer::Ok;
  if (count == 1 && strcmp(fields[0].text, protocol::kNo) == 0) answer.status = Answer::No;
  const char* reason = count == 2 ? tabs::value_of(fields[1], "reason") : nullptr;
  if (reason != nullptr) answer.reason = reason;
  return answer;
}

}  // namespace vmail::auth::client
