#include "dovecot-auth/postfix/codec.h"

#include <vector>

#include "tests/support/catch.h"

using namespace vmail::auth::postfix;

namespace {

std::string describe(const Response& response) {
  return response.is_base64 ? "<" + response.bytes.text() + ">" : "not base64";
}

std::string describe(const Event& event) {
  if (const auto* auth = std::get_if<Auth>(&event)) {
    return "auth " + std::to_string(auth->id) + " " + auth->mechanism + " service=" + auth->service +
           " rip=" + auth->remote_ip + " session=" + auth->session + " " +
           (auth->initial ? describe(*auth->initial) : "-");
  }
  if (const auto* more = std::get_if<Continue>(&event)) {
    return "cont " + std::to_string(more->id) + " " + describe(more->response);
  }
  if (const auto* cancel = std::get_if<Cancel>(&event)) return "cancel " + std::to_string(cancel->id);
  if (const auto* bad = std::get_if<Malformed>(&event)) return "malformed: " + bad->why;
  return "more";
}

using Texts = std::vector<std::string>;

void take(Decoder& decoder, Texts& texts) {
  for (;;) {
    const Event event = decoder.next();
    if (std::holds_alternative<NeedMore>(event)) return;
    texts.push_back(describe(event));
    if (std::holds_alternative<Malformed>(event)) return;
  }
}

Texts decode(std::string_view bytes) {
  Decoder decoder;
  decoder.feed(bytes);
  Texts texts;
  take(decoder, texts);
  return texts;
}

// What Postfix 3.7 sends, and the parameters of Dovecot's own login processes beside them.
const std::string kConversation =
    "VERSION\t1\t0\nCPID\t4711\n"
    "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=192.0.2.2\tsecured\tresp=AGxpc2kAc2VjcmV0\n"
    "AUTH\t2\tLOGIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=192.0.2.2\n"
    "CONT\t2\tbGlzaQ==\n"
    "CONT\t2\tc2VjcmV0\n"
    "AUTH\t3\tPLAIN\tservice=imap\tsession=a/b+c\tlport=143\trport=4000\treal_rip=::1\tlocal_name=x\001ty\tdebug\t"
    "forward_fields=\ttls_protocol=TLSv1.3\tclient_id=\tno-penalty\tfinal-resp-ok\tlip=::1\trip=2001:db8::1\tresp==\n"
    "CANCEL\t3\n"
    "SOMETHING\tnew\n"
    "AUTH\t4294967295\tPLAIN\tservice=smtp\tresp=\n";

const Texts kEvents = {
    std::string("auth 1 PLAIN service=smtp rip=192.0.2.2 session= <") + '\0' + "lisi" + '\0' + "secret>",
    "auth 2 LOGIN service=smtp rip=192.0.2.2 session= -",
    "cont 2 <lisi>",
    "cont 2 <secret>",
    "auth 3 PLAIN service=imap rip=2001:db8::1 session=a/b+c <>",
    "cancel 3",
    "auth 4294967295 PLAIN service=smtp rip= session= <>",
};

}  // namespace

TEST_CASE("auth codec: a conversation, whole") {
  CHECK(decode(kConversation) == kEvents);
}

TEST_CASE("auth codec: a conversation, cut at every place") {
  for (std::size_t at = 0; at <= kConversation.size(); ++at) {
    CAPTURE(at);
    Decoder decoder;
    Texts texts;
    decoder.feed(std::string_view(kConversation).substr(0, at));
    take(decoder, texts);
    decoder.feed(std::string_view(kConversation).substr(at));
    take(decoder, texts);
    CHECK(texts == kEvents);
    CHECK(decoder.empty());
  }
}

TEST_CASE("auth codec: a conversation, byte by byte") {
  Decoder decoder;
  Texts texts;
  for (const char c : kConversation) {
    decoder.feed({&c, 1});
    take(decoder, texts);
  }
  CHECK(texts == kEvents);
}

TEST_CASE("auth codec: what is not of the protocol") {
  for (const auto* line : {"VERSION\n", "VERSION\t2\t0\n", "VERSION\tx\n", "AUTH\n", "AUTH\t1\n", "AUTH\tx\tPLAIN\n",
                           "AUTH\t-1\tPLAIN\n", "AUTH\t4294967296\tPLAIN\n", "AUTH\t\tPLAIN\n", "CONT\n", "CONT\t1\n",
                           "CONT\tx\tAA==\n", "CONT\t1\tAA==\tx\n", "CANCEL\n", "CANCEL\tx\n"}) {
    CAPTURE(line);
    const auto texts = decode(line);
    REQUIRE(texts.size() == 1);
    CHECK(texts[0].substr(0, 9) == "malformed");
  }
}

TEST_CASE("auth codec: a response that is not base64 fails its exchange alone") {
  CHECK(decode("AUTH\t1\tPLAIN\tresp=%%%%\nCONT\t1\tAAA\n") ==
        Texts{"auth 1 PLAIN service= rip= session= not base64", "cont 1 not base64"});
}

TEST_CASE("auth codec: limits") {
  const std::string longest = "AUTH\t1\tPLAIN\tresp=" + std::string(16384 - 18, 'A');
  CHECK(decode(longest + "\n").at(0).substr(0, 6) == "auth 1");
  CHECK(decode(longest + "A\n").at(0).substr(0, 9) == "malformed");
  CHECK(decode(longest + "A").at(0).substr(0, 9) == "malformed");  // without waiting for its end

  std::string fields = "AUTH\t1\tPLAIN";
  for (int i = 3; i < 64; ++i) fields += "\tx";
  CHECK(decode(fields + "\n").at(0).substr(0, 6) == "auth 1");
  CHECK(decode(fields + "\tx\n").at(0).substr(0, 9) == "malformed");
}

TEST_CASE("auth codec: replies") {
  CHECK(ok(7, "lisi@mydomain.com") == "OK\t7\tuser=lisi@mydomain.com\n");
  CHECK(go_on(7, "") == "CONT\t7\t\n");  // Postfix wants the field, empty or not
  CHECK(go_on(7, "Username:") == "CONT\t7\tVXNlcm5hbWU6\n");
  CHECK(fail(7, "lisi", "no such thing") == "FAIL\t7\tuser=lisi\treason=no such thing\n");
  CHECK(fail(7, "", "no such thing") == "FAIL\t7\treason=no such thing\n");
  CHECK(fail(7, "a\tuser=b\n", "c") == "FAIL\t7\tuser=a\001tuser=b\001n\treason=c\n");
  const std::string flood(20000, '\n');
  const auto reply = fail(4294967295, flood, flood);
  CHECK(reply.size() > 80000);
  CHECK(reply.find('\n') == reply.size() - 1);
}

TEST_CASE("auth codec: the handshake names its mechanisms before it says who it is") {
  const std::string text = handshake(4711, 3, "0123456789abcdef0123456789abcdef", {"PLAIN", "SCRAM-SHA-256"});
  CHECK(text ==
        "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tSCRAM-SHA-256\tmutual-auth\nSPID\t4711\nCUID\t3\n"
        "COOKIE\t0123456789abcdef0123456789abcdef\nDONE\n");
}
