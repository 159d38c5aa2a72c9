#include "dovecot-auth/sasl/scram.h"

#include <sasl/sasl.h>

#include <cstring>

#include "tests/support/catch.h"

using namespace vmail;
using namespace vmail::auth::sasl;

namespace {

// Of the password "pencil", with the salt of RFC 7677 section 3.
constexpr std::string_view kKeys =
    "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

// libsasl2 as the client.
class Client {
 public:
  Client(std::string user, const std::string& password) : user_(std::move(user)) {
    static const int begun = sasl_client_init(nullptr);
    REQUIRE(begun == SASL_OK);
    secret_.resize(sizeof(sasl_secret_t) + password.size());
    auto* secret = reinterpret_cast<sasl_secret_t*>(secret_.data());
    secret->len = password.size();
    std::memcpy(secret->data, password.data(), password.size());
    callbacks_[0] = {SASL_CB_AUTHNAME, reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(name)), this};
    callbacks_[1] = {SASL_CB_PASS, reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(pass)), this};
    callbacks_[2] = {SASL_CB_LIST_END, nullptr, nullptr};
    REQUIRE(sasl_client_new("smtp", "localhost", nullptr, nullptr, callbacks_, 0, &connection_) == SASL_OK);
  }
  ~Client() { sasl_dispose(&connection_); }

  std::string begin() {
    const char* out = nullptr;
    unsigned size = 0;
    const char* mechanism = nullptr;
    result_ = sasl_client_start(connection_, "SCRAM-SHA-256", nullptr, &out, &size, &mechanism);
    return {out == nullptr ? "" : out, size};
  }
  std::string answer(const std::string& challenge) {
    const char* out = nullptr;
    unsigned size = 0;
    result_ =
        sasl_client_step(connection_, challenge.data(), static_cast<unsigned>(challenge.size()), nullptr, &out, &size);
    return {out == nullptr ? "" : out, size};
  }
  // Whether the server has proved itself as well.
  bool satisfied() const { return result_ == SASL_OK; }

 private:
  static int name(void* self, int, const char** result, unsigned* size) {
    const auto& user = static_cast<Client*>(self)->user_;
    *result = user.c_str();
    if (size != nullptr) *size = static_cast<unsigned>(user.size());
    return SASL_OK;
  }
  static int pass(sasl_conn_t*, void* self, int, sasl_secret_t** secret) {
    *secret = reinterpret_cast<sasl_secret_t*>(static_cast<Client*>(self)->secret_.data());
    return SASL_OK;
  }

  std::string user_;
  std::string secret_;
  sasl_callback_t callbacks_[3];
  sasl_conn_t* connection_ = nullptr;
  int result_ = SASL_FAIL;
};

std::string challenge_of(const Step& step) {
  REQUIRE(std::holds_alternative<Challenge>(step));
  return std::get<Challenge>(step).text;
}

// Up to the server's first message.
std::string first_challenge(Mechanism& scram, Client& client, const Secret* keys) {
  const auto step = scram.start(client.begin());
  REQUIRE(std::holds_alternative<NeedKeys>(step));
  return challenge_of(scram.resume(keys));
}

bool proven(const Step& step) {
  REQUIRE(std::holds_alternative<Proven>(step));
  return std::get<Proven>(step).right;
}

}  // namespace

TEST_CASE("SCRAM-SHA-256: the right password, and each side has proved itself") {
  REQUIRE(why_no_scram().empty());
  Client client("li,si=@mydomain.com", "pencil");
  const auto scram = make_scram();
  CHECK(challenge_of(scram->start(std::nullopt)).empty());
  const auto step = scram->respond(client.begin());
  REQUIRE(std::holds_alternative<NeedKeys>(step));
  CHECK(std::get<NeedKeys>(step).user == "li,si=@mydomain.com");
  const Secret keys(kKeys);
  const auto proof = client.answer(challenge_of(scram->resume(&keys)));
  const auto last = client.answer(challenge_of(scram->respond(proof)));
  CHECK(last.empty());
  CHECK(client.satisfied());
  const auto end = scram->respond(last);
  CHECK(proven(end));
  CHECK(std::get<Proven>(end).user == "li,si=@mydomain.com");
}

TEST_CASE("SCRAM-SHA-256: a wrong password and a user without keys fail alike, at the same place") {
  const Secret keys(kKeys);
  const struct {
    const char* password;
    const Secret* keys;
  } cases[] = {{"pencils", &keys}, {"pencil", nullptr}};
  for (const auto& one : cases) {
    Client client("lisi@mydomain.com", one.password);
    const auto scram = make_scram();
    const auto challenge = first_challenge(*scram, client, one.keys);
    CHECK(challenge.find(",i=4096") != std::string::npos);
    CHECK_FALSE(proven(scram->respond(client.answer(challenge))));
  }
}

TEST_CASE("SCRAM-SHA-256: the salt of a user without keys is always the same") {
  const auto salt = [](const char* user) {
    Client client(user, "x");
    const auto scram = make_scram();
    const auto challenge = first_challenge(*scram, client, nullptr);
    const auto at = challenge.find(",s=");
    return challenge.substr(at, challenge.find(',', at + 1) - at);
  };
  CHECK(salt("a@d.org") == salt("a@d.org"));
  CHECK(salt("a@d.org") != salt("b@d.org"));
  CHECK(salt("a@d.org").size() == std::strlen(",s=W22ZaJ0SNY7soEsUEjb6gQ=="));
}

TEST_CASE("SCRAM-SHA-256: what is no message of it") {
  for (const char* message : {"x", "n,,", "n,,r=abc", "n,,n=,r=abc", "n,,n=a=2,r=abc", "n,,n=a=41b,r=abc",
                              "n,a=other@d.org,n=lisi@d.org,r=abc", "p=tls-unique,,n=lisi@d.org,r=abc", "n"}) {
    CAPTURE(message);
    CHECK(std::holds_alternative<Invalid>(make_scram()->start(message)));
  }
  const Secret keys(kKeys);
  for (const char* message : {"n,,n=lisi@d.org", "n,,n=lisi@d.org,x=1"}) {
    CAPTURE(message);
    const auto scram = make_scram();
    CHECK(std::holds_alternative<NeedKeys>(scram->start(message)));
    CHECK_FALSE(std::holds_alternative<Challenge>(scram->resume(&keys)));
  }
  Client client("lisi@d.org", "pencil");
  const auto scram = make_scram();
  first_challenge(*scram, client, &keys);
  CHECK_FALSE(proven(scram->respond("c=biws,r=other,p=AAAA")));
}

TEST_CASE("SCRAM-SHA-256: keys that are none are trouble of ours, not a wrong password") {
  for (const char* text : {"", "4096", "4096,a,b", "4096,a,b,c,d", "4096,a,b:c,d", "x,a,b,c", "0,a,b,c"}) {
    CAPTURE(text);
    Client client("lisi@d.org", "pencil");
    const auto scram = make_scram();
    scram->start(client.begin());
    const Secret keys(text);
    CHECK(std::holds_alternative<Trouble>(scram->resume(&keys)));
  }
}
