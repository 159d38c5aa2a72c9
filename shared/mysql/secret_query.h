// Statements with secrets among their parameters.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/secret.h"
#include "shared/mysql/connection.h"

namespace vmail::mysql {

// The secrets are the first parameters, the others follow. Wiped afterwards, whatever becomes of it. Throws Error.
inline Result query_with_secrets(Connection& connection, const std::string& sql,
                                 std::initializer_list<std::string_view> secrets,
                                 std::initializer_list<std::string_view> others) {
  struct Wiped {
    ~Wiped() {
      for (auto& value : values) wipe(*value);
    }
    std::vector<Value> values;
  } parameters;
  parameters.values.reserve(secrets.size() + others.size());  // never moved: no copy of a secret is left behind
  for (const auto secret : secrets) parameters.values.emplace_back(secret);
  for (const auto other : others) parameters.values.emplace_back(other);
  return connection.query(sql, parameters.values);
}

}  // namespace vmail::mysql
