// What the commands about logins share.
#pragma once

#include <string>

#include "shared/base/secret.h"
#include "sql/vmailctl/app.h"
#include "sql/vmailctl/app_passwords.h"
#include "sql/vmailctl/catalog.h"

namespace vmail::sql {

// The user of that address; Refusal when there is none, with what there is instead.
User require_user(Catalog& catalog, const std::string& address);

// The hash that a new password gets, by [passwords].
Secret hash_of(const App& app, const Secret& password);

// Gives the user that password, and new keys for SCRAM where there were some or they are wanted
// (passwords.capture_scram).
void change_password(const App& app, mysql::Connection& connection, const User& user, const Secret& password);

}  // namespace vmail::sql
