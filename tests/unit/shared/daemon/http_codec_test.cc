#include "shared/daemon/http_codec.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

using namespace vmail::http;

namespace {

// "GET /metrics", "400" with the reason, or "more".
std::string decode(const std::string& bytes, std::size_t step) {
  Decoder decoder;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::vector<char> piece(bytes.begin() + static_cast<long>(at),
                                  bytes.begin() + static_cast<long>(std::min(bytes.size(), at + step)));
    switch (decoder.feed({piece.data(), piece.size()})) {
      case Decoder::Event::NeedMore:
        continue;
      case Decoder::Event::Request:
        return decoder.request().method + ' ' + decoder.request().path;
      case Decoder::Event::Refused:
        return std::to_string(decoder.status()) + ' ' + std::string(decoder.why());
    }
  }
  return "more";
}

// The same however it comes in pieces.
std::string decode(const std::string& bytes) {
  const std::string whole = decode(bytes, bytes.size() + 1);
  for (std::size_t step = 1; step <= bytes.size(); step = step < 40 ? step + 1 : step * 3) {
    CAPTURE(step);
    CHECK(decode(bytes, step) == whole);
  }
  return whole;
}

const std::string kNoRequest = "400 the first line is no request of HTTP/1.1";

}  // namespace

TEST_CASE("requests that are good") {
  const struct {
    const char* what;
    std::string bytes;
    std::string expected;
  } cases[] = {
      {"the usual one", "GET /metrics HTTP/1.1\r\nHost: localhost:9101\r\nAccept: */*\r\n\r\n", "GET /metrics"},
      {"without CR", "GET /metrics HTTP/1.1\nHost: x\n\n", "GET /metrics"},
      {"an empty line before", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /"},
      {"an old one needs no host", "GET /metrics HTTP/1.0\r\n\r\n", "GET /metrics"},
      {"a host that is empty", "GET / HTTP/1.1\r\nhost:\r\n\r\n", "GET /"},
      {"a query", "GET /metrics?x=/y HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics"},
      {"a whole address", "GET HTTP://x:1/metrics?y HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics"},
      {"a whole address without a path", "GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", "GET /"},
      {"a whole address with a query alone", "GET http://x?/y HTTP/1.1\r\nHost: x\r\n\r\n", "GET /"},
      {"another method", "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "DELETE /metrics"},
      {"no path", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS *"},
      {"an empty body", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "GET /"},
      {"more behind it", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /other HTTP/9\r\n\r\n", "GET /"},
      {"nothing", "", "more"},
      {"half of one", "GET /metrics HTTP/1.1\r\nHost: x\r\n", "more"},
  };
  for (const auto& test : cases) {
    CAPTURE(test.what);
    CHECK(decode(test.bytes) == test.expected);
  }
}

TEST_CASE("requests that are refused") {
  const struct {
    const char* what;
    std::string bytes;
    std::string expected;
  } cases[] = {
      {"one word", "HELLO\r\n", kNoRequest},
      {"two words", "GET /\r\n", kNoRequest},
      {"two blanks", "GET  HTTP/1.1\r\n", kNoRequest},
      {"a query without a path", "GET ?x HTTP/1.1\r\n", kNoRequest},
      {"a blank in the target", "GET /a b HTTP/1.1\r\n", kNoRequest},
      {"a control character", std::string("GET /\x01 HTTP/1.1\r\n"), kNoRequest},
      {"a byte beyond ASCII", "GET /\xc3\xa4 HTTP/1.1\r\n", kNoRequest},
      {"a method that is none", "G(T / HTTP/1.1\r\n", kNoRequest},
      {"another protocol", "GET / FTPP/1.1\r\n", kNoRequest},
      {"another number", "GET / HTTP/1.x\r\n", kNoRequest},
      {"TLS", std::string("\x16\x03\x01\x02\x00\n", 6), kNoRequest},
      {"HTTP/2", "PRI * HTTP/2.0\r\n", "505 only HTTP/1.0 and HTTP/1.1 are spoken here"},
      {"no host", "GET / HTTP/1.1\r\n\r\n", "400 a request names its host, once"},
      {"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400 a request names its host, once"},
      {"a field without a colon", "GET / HTTP/1.1\r\nHost\r\n", "400 a field has no proper name"},
      {"a blank before the colon", "GET / HTTP/1.1\r\nHost : x\r\n", "400 a field has no proper name"},
      {"a folded field", "GET / HTTP/1.1\r\nHost: x\r\n y\r\n", "400 a field has no proper name"},
      {"a CR inside", "GET / HTTP/1.1\r\nHost: x\ry\r\n", "400 a field has a CR or NUL in it"},
      {"a NUL inside", std::string("GET / HTTP/1.1\r\nHost: \0\r\n", 25), "400 a field has a CR or NUL in it"},
      {"a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "413 no body is taken here"},
      {"chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "413 no body is taken here"},
  };
  for (const auto& test : cases) {
    CAPTURE(test.what);
    CHECK(decode(test.bytes) == test.expected);
  }
}

TEST_CASE("a body, where one is taken, and the one field that is kept") {
  const auto say = [](const std::string& fields, const std::string& body, std::size_t step) {
    Decoder decoder(5, "X-Key");
    const std::string bytes = "POST /a?b=c HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      const auto event = decoder.feed(std::string_view(bytes).substr(at, step));
      if (event == Decoder::Event::Refused) return std::to_string(decoder.status());
      const Request& request = decoder.request();
      if (event == Decoder::Event::Request) return request.query + ' ' + request.field + ' ' + request.body;
    }
    return std::string("more");
  };
  for (const std::size_t step : {1u, 3u, 1000u}) {
    CAPTURE(step);
    CHECK(say("x-key: k\r\nContent-Length: 5\r\n", "hello", step) == "b=c k hello");
    CHECK(say("Content-Length: 2\r\nContent-Length: 2\r\n", "hello", step) == "b=c  he");
    CHECK(say("Content-Length: 5\r\n", "hell", step) == "more");
    CHECK(say("", "hello", step) == "b=c  ");
    CHECK(say("Content-Length: 6\r\n", "hello!", step) == "413");
    CHECK(say("Content-Length: 2\r\nContent-Length: 3\r\n", "hello", step) == "400");
    CHECK(say("Content-Length: -1\r\n", "", step) == "400");
    CHECK(say("Transfer-Encoding: chunked\r\n", "", step) == "413");
  }
}

TEST_CASE("a request has a limit") {
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\nX: ";
  const std::string end = "\r\n\r\n";
  const std::string most = start + std::string(kMaxRequest - start.size() - end.size(), 'x') + end;
  REQUIRE(most.size() == kMaxRequest);
  CHECK(decode(most) == "GET /");
  CHECK(decode(start + "x" + most.substr(start.size())) == "431 the request is longer than 8192 bytes");
  CHECK(decode(std::string(kMaxRequest + 1, 'x')) == "431 the request is longer than 8192 bytes");
  CHECK(decode(std::string(kMaxRequest + 1, '\n')) == "431 the request is longer than 8192 bytes");
}

TEST_CASE("responses") {
  CHECK(response(200, "text/plain", "hello\n") ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
  CHECK(response(405, "text/plain", "", "GET") ==
        "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nAllow: GET\r\n"
        "Connection: close\r\n\r\n");
}
