// Domains as keys: one spelling for each, whichever of the two an internationalised name was written in.
#pragma once

#include <string>
#include <string_view>

namespace vmail::directory {

// The A-label form (RFC 5890 section 2.3.2.1) of a folded domain: what keys are made of. A name that is ASCII already,
// or that IDNA 2008 does not take, stays as it is.
std::string a_label(std::string_view domain);
void a_label(std::string_view domain, std::string& into);
// The U-label form of an A-label form; the same text when there is none.
std::string u_label(std::string_view domain);

// The key of an address as a row has it: folded, the domain as A-label; also "@domain", a catch-all. Empty when it can
// be no address that anybody asks for.
std::string address_key(std::string_view stored);

}  // namespace vmail::directory
