// What the rules of the directory say to the policy server, as values. From memory alone: the domains have been loaded
// when it is asked. Loop thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/address_list.h"
#include "shared/base/clock.h"
#include "shared/base/quota_limits.h"
#include "shared/config/limit.h"
#include "shared/directory/directory.h"
#include "shared/runtime/log.h"

namespace vmail::policy {

// Behind the last '@'; empty when there is none.
std::string_view domain_of(std::string_view address);

// Is the address one of the list, or in one of its "@domain"? `address` is a key, or empty and then nobody.
bool is_named(const AddressList& list, const std::string& address);

// Nothing: there is none. A value that makes no sense is logged through `log`, here and below.
std::optional<QuotaLimits> quota_of(directory::Directory& directory, const directory::Mailbox& mailbox, Instant now,
                                    log::Throttle& log);

// Those that hold for a login, which is a key: what its own rules and its domain's say instead of the configuration.
// Only rules of the domain are about all of the domain.
std::vector<config::Limit> limits_of(directory::Directory& directory, const std::string& login,
                                     std::vector<config::Limit> configured, Instant now, log::Throttle& log);

}  // namespace vmail::policy
