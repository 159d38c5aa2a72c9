// How often this thread has allocated with `new`, for what must not. Link vmail_test_allocations.
#pragma once

#include <cstdint>

namespace vmail::test {

std::uint64_t allocations();

}  // namespace vmail::test
