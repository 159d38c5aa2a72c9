// Catch2 as the system has it: v2 (Debian 12) or v3 (Debian 13). Tests use only what both know alike: TEST_CASE,
// SECTION, REQUIRE, CHECK, their _FALSE, _THROWS_AS and _NOTHROW forms, CAPTURE, INFO, FAIL.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
