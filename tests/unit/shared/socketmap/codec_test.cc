#include "shared/socketmap/codec.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

using namespace vmail::socketmap;

namespace {

std::string netstring(const std::string& payload) {
  return std::to_string(payload.size()) + ':' + payload + ',';
}

struct Seen {
  std::string map;
  std::string key;
  bool has_space;
  bool oversized;
  bool operator==(const Seen&) const = default;
};

// All that a decoder makes of these pieces; `why` is set when it gives up.
std::vector<Seen> decode(const std::vector<std::string>& pieces, std::string& why, bool& in_request) {
  Decoder decoder;
  std::vector<Seen> seen;
  for (const auto& piece : pieces) {
    // A copy of its own, so that a sanitizer sees a look behind its end.
    const std::vector<char> exact(piece.begin(), piece.end());
    std::string_view input(exact.data(), exact.size());
    for (bool more = true; more;) {
      switch (decoder.next(input)) {
        case Decoder::Event::Request: {
          const Request& request = decoder.request();
          seen.push_back({std::string(request.map), std::string(request.key), request.has_space, request.oversized});
          break;
        }
        case Decoder::Event::NeedMore:
          more = false;
          break;
        case Decoder::Event::Malformed:
          why = decoder.why();
          return seen;
      }
    }
  }
  in_request = decoder.in_request();
  return seen;
}

struct Case {
  const char* name;
  std::string bytes;
  std::vector<Seen> requests;
  const char* why;  // part of the reason, or empty
  bool in_request = false;
};

std::vector<Case> cases() {
  const std::string kept(kMaxKept - 8, 'k');
  const std::string odd("\0\n\xff,:@", 6);
  return {
      {"nothing", "", {}, ""},
      {"one request", netstring("domains example.org"), {{"domains", "example.org", true, false}}, ""},
      {"two in a row",
       netstring("domains a.org") + netstring("aliases b@a.org"),
       {{"domains", "a.org", true, false}, {"aliases", "b@a.org", true, false}},
       ""},
      {"a key with blanks", netstring("aliases \"a b\"@x.org"), {{"aliases", "\"a b\"@x.org", true, false}}, ""},
      {"a key that begins with a blank", netstring("aliases  a"), {{"aliases", " a", true, false}}, ""},
      {"an empty key", netstring("domains "), {{"domains", "", true, false}}, ""},
      {"an empty map", netstring(" key"), {{"", "key", true, false}}, ""},
      {"no blank", netstring("domains"), {{"domains", "", false, false}}, ""},
      {"an empty payload", "0:,", {{"", "", false, false}}, ""},
      {"bytes of all kinds", netstring("aliases " + odd), {{"aliases", odd, true, false}}, ""},
      {"as much as is kept", netstring("aliases " + kept), {{"aliases", kept, true, false}}, ""},
      {"one byte more", netstring("aliases " + kept + "x"), {{"aliases", kept, true, true}}, ""},
      {"20 KB and a good one after it",
       netstring("mailboxes " + std::string(20000, 'x')) + netstring("domains a.org"),
       {{"mailboxes", std::string(kMaxKept - 10, 'x'), true, true}, {"domains", "a.org", true, false}},
       ""},
      {"the largest",
       netstring("m " + std::string(99998, 'x')),
       {{"m", std::string(kMaxKept - 2, 'x'), true, true}},
       ""},
      {"one byte too large", "100001:m x", {}, "over 100000"},
      {"an absurd length", "99999999999999999999999999:", {}, "over 100000"},
      {"a leading zero", "05:abcde,", {}, "leading zero"},
      {"many zeros", "000:,", {}, "leading zero"},
      {"no length", ":abc,", {}, "begins with its length"},
      {"a negative length", "-1:a,", {}, "begins with its length"},
      {"another protocol", "GET / HTTP/1.0\r\n\r\n", {}, "begins with its length"},
      {"a blank in the length", "1 :a,", {}, "after the length"},
      {"a letter in the length", "1x:a,", {}, "after the length"},
      {"no comma", "3:a b;", {}, "','"},
      {"a length too small", "3:a bc,", {}, "','"},
      {"a line break between", netstring("a b") + "\n" + netstring("a c"), {{"a", "b", true, false}}, "begins with"},
      {"half a length", "1", {}, "", true},
      {"half a payload", "10:domains", {}, "", true},
      {"all but the comma", "3:a b", {}, "", true},
      {"a good one and half another", netstring("a b") + "3:a", {{"a", "b", true, false}}, "", true},
  };
}

}  // namespace

TEST_CASE("socketmap requests are cut out of the stream, wherever it is split") {
  for (auto test : cases()) {
    CAPTURE(test.name);
    const auto check = [&](const std::vector<std::string>& pieces) {
      std::string why;
      bool in_request = false;
      const auto seen = decode(pieces, why, in_request);
      REQUIRE(seen == test.requests);
      REQUIRE(std::string(test.why).empty() == why.empty());
      REQUIRE(why.find(test.why) != std::string::npos);
      if (why.empty()) REQUIRE(in_request == test.in_request);
    };
    check({test.bytes});
    // Every split into two; of the long ones, those near the ends and around what is kept.
    for (std::size_t i = 1; i < test.bytes.size(); ++i) {
      if (test.bytes.size() > 5000 && i > 40 && i + 40 < test.bytes.size() && (i < kMaxKept - 5 || i > kMaxKept + 40)) {
        continue;
      }
      CAPTURE(i);
      check({test.bytes.substr(0, i), test.bytes.substr(i)});
    }
    std::vector<std::string> single;
    for (const char c : test.bytes) single.emplace_back(1, c);
    check(single);
  }
}

TEST_CASE("a decoder that gave up stays so") {
  Decoder decoder;
  std::string_view bad = "x";
  CHECK(decoder.next(bad) == Decoder::Event::Malformed);
  const std::string request = netstring("a b");
  std::string_view good = request;
  CHECK(decoder.next(good) == Decoder::Event::Malformed);
}

TEST_CASE("a request that is whole in the input is not copied") {
  const std::string bytes = netstring("aliases a@example.org");
  Decoder decoder;
  std::string_view input = bytes;
  REQUIRE(decoder.next(input) == Decoder::Event::Request);
  CHECK(decoder.request().key.data() >= bytes.data());
  CHECK(decoder.request().key.data() < bytes.data() + bytes.size());
  CHECK(input.empty());
}

TEST_CASE("replies are spelled as Postfix wants them") {
  CHECK(Reply::ok("1").encode() == "4:OK 1,");
  CHECK(Reply::ok("a@x.org,b@x.org").encode() == "18:OK a@x.org,b@x.org,");
  // With the blank: older releases take it for another word without.
  CHECK(Reply::not_found().encode() == "9:NOTFOUND ,");
  CHECK(Reply::temp("the database is away").encode() == "25:TEMP the database is away,");
  CHECK(Reply::perm("no such map").encode() == "16:PERM no such map,");
}

TEST_CASE("an OK is never empty, too long or of several lines") {
  CHECK(Reply::ok("").kind() == Reply::Kind::Temp);
  CHECK(Reply::ok("\r\n").kind() == Reply::Kind::Temp);
  CHECK(Reply::ok(std::string("a\r\n@\0b", 6)).encode() == "6:OK a@b,");

  const auto largest = Reply::ok(std::string(99997, 'a'));
  CHECK(largest.kind() == Reply::Kind::Ok);
  CHECK(largest.encode().size() == 7 + 100000 + 1);
  const auto larger = Reply::ok(std::string(99998, 'a'));
  CHECK(larger.kind() == Reply::Kind::Temp);
  CHECK(larger.text().find("99998") != std::string::npos);
}

TEST_CASE("reasons are short and printable") {
  CHECK(Reply::temp("a\r\nb\x01\xff\x7f").text() == "a??b???");
  CHECK(Reply::temp(std::string(1000, 'x')).text().size() == kMaxReason);
  CHECK(Reply::perm(std::string(1000, 'x')).text().size() == kMaxReason);
}

TEST_CASE("a client's requests and a server's replies read back, wherever the stream is split") {
  const std::string request = encode_request("aliases", "a b@x.org");
  CHECK(request == netstring("aliases a b@x.org"));
  std::string_view input = request;
  Decoder server;
  REQUIRE(server.next(input) == Decoder::Event::Request);
  CHECK(server.request().map == "aliases");
  CHECK(server.request().key == "a b@x.org");

  const struct {
    std::string payload;
    Reply::Kind kind;
    std::string text;
  } cases[] = {
      {"OK a@x.org,b@x.org", Reply::Kind::Ok, "a@x.org,b@x.org"},
      {"OK " + std::string(90000, 'a'), Reply::Kind::Ok, std::string(90000, 'a')},
      {"NOTFOUND ", Reply::Kind::NotFound, ""},
      {"NOTFOUND", Reply::Kind::NotFound, ""},
      {"TEMP the database is away", Reply::Kind::Temp, "the database is away"},
      {"TIMEOUT it is late", Reply::Kind::Temp, "it is late"},
      {"PERM no such map", Reply::Kind::Perm, "no such map"},
  };
  for (const auto& test : cases) {
    CAPTURE(test.payload.substr(0, 40));
    const std::string wire = netstring(test.payload);
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, wire.size()}) {
      Decoder client(kMaxPayload);
      std::optional<Reply> reply;
      for (std::size_t at = 0; at < wire.size(); at += step) {
        std::string_view piece = std::string_view(wire).substr(at, step);
        const auto event = client.next(piece);
        REQUIRE(event != Decoder::Event::Malformed);
        if (event == Decoder::Event::Request) reply = Reply::read(client.request());
      }
      REQUIRE(reply);
      CHECK(reply->kind() == test.kind);
      CHECK(reply->text() == test.text);
    }
  }
  CHECK_FALSE(Reply::read({"HTTP/1.1", "400 Bad Request"}));
}
