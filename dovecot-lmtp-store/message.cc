#include "dovecot-lmtp-store/message.h"

#include <time.h>

#include <chrono>

namespace vmail::store {
namespace {

// RFC 5322 section 3.3, in UTC, whatever the locale.
std::string rfc5322_date(WallTime when) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t seconds = std::chrono::system_clock::to_time_t(when);
  tm parts{};
  gmtime_r(&seconds, &parts);
  const auto two = [](int number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  std::string out = kDays[parts.tm_wday];
  out +=
      ", " + std::to_string(parts.tm_mday) + ' ' + kMonths[parts.tm_mon] + ' ' + std::to_string(parts.tm_year + 1900);
  return out + ' ' + two(parts.tm_hour) + ':' + two(parts.tm_min) + ':' + two(parts.tm_sec) + " +0000";
}

std::string text(std::string_view view) {
  return std::string(view);
}

}  // namespace

std::string headers_for(const Message& message, std::string_view recipient, std::string_view hostname) {
  const std::string from = message.helo + (message.peer.empty() ? "" : " (" + message.peer + ')');
  std::string out = "Return-Path: <" + message.sender + ">\n";
  if (!recipient.empty()) out += "Delivered-To: " + text(recipient) + '\n';
  // The names of the protocol are registered by RFC 3848 and RFC 6531 section 4.3.
  const std::string protocol = text(message.smtputf8 ? "UTF8LMTP" : "LMTP") + (message.encrypted ? "S" : "");
  out += "Received: from " + from + '\n' +                        //
         "\tby " + text(hostname) + " with " + protocol + '\n' +  //
         "\tid " + message.id + '\n' +                            //
         "\t(envelope-from <" + message.sender + ">)";
  if (!recipient.empty()) out += "\n\tfor <" + text(recipient) + '>';
  return out + "; " + rfc5322_date(message.received) + '\n';
}

}  // namespace vmail::store
