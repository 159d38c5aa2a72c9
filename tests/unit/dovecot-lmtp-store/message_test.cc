#include "dovecot-lmtp-store/message.h"

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::store;

TEST_CASE("the headers in front of a message") {
  Message message;
  message.id = "17.1";
  message.sender = "a@b";
  message.helo = "client.example";
  message.received = WallTime(std::chrono::seconds(1700000000));
  CHECK(headers_for(message, "lisi@example.com", "mail.example.com") ==
        "Return-Path: <a@b>\n"
        "Delivered-To: lisi@example.com\n"
        "Received: from client.example\n"
        "\tby mail.example.com with LMTP\n"
        "\tid 17.1\n"
        "\t(envelope-from <a@b>)\n"
        "\tfor <lisi@example.com>; Tue, 14 Nov 2023 22:13:20 +0000\n");

  message.sender.clear();
  message.smtputf8 = true;
  message.peer = "[192.0.2.1]";
  message.received = WallTime(std::chrono::seconds(1704067201));
  CHECK(headers_for(message, "l@e", "m") ==
        "Return-Path: <>\n"
        "Delivered-To: l@e\n"
        "Received: from client.example ([192.0.2.1])\n"
        "\tby m with UTF8LMTP\n"
        "\tid 17.1\n"
        "\t(envelope-from <>)\n"
        "\tfor <l@e>; Mon, 1 Jan 2024 00:00:01 +0000\n");

  // For several recipients that share one file.
  CHECK(headers_for(message, "", "m") ==
        "Return-Path: <>\n"
        "Received: from client.example ([192.0.2.1])\n"
        "\tby m with UTF8LMTP\n"
        "\tid 17.1\n"
        "\t(envelope-from <>); Mon, 1 Jan 2024 00:00:01 +0000\n");
}
